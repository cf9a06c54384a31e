# `make demo` and `make test` work as the first command after `git clone`.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint .ci/constraints.txt
# The first Python >= 3.11 found; `make PYTHON=/path/to/python demo` overrules.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)

.PHONY: demo test test-tpu soak lint format clean
.DEFAULT_GOAL := demo

$(STAMP): setup.py pyproject.toml .ci/constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 found; install one or \
	pass PYTHON=/path/to/python"; exit 1; }
	@echo "making $(VENV) with $(PYTHON) (once; takes 2.5 GB of disk) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e '.[dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/python -m launch.demo --workdir=work/demo

test: lint
	$(BIN)/python -m pytest -n 2 --dist=worksteal

# The TPU compiler, which needs no TPU: 700 MB beside the environment.
LIBTPU := $(VENV)/libtpu

$(LIBTPU): $(STAMP)
	$(PIP) --upgrade --no-deps --target $@ libtpu

test-tpu: $(LIBTPU)
	PYTHONPATH=$(abspath $(LIBTPU)) $(BIN)/python -m pytest tests/tpu

# 25 kills and stops of one training: docs/results/soak.md.
soak: $(STAMP)
	$(BIN)/python tests/soak.py work/soak

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/shellcheck --external-sources .ci/run launch/*.sh launch/*/*.sh launch/*/*.sbatch

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf work .pytest_cache .ruff_cache build *.egg-info
