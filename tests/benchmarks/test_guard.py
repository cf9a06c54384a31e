"""The costs of the key functions are those that are committed."""

import json
import sys

from guard_process import ROOT, output_of_guard

sys.path.append(str(ROOT / "benchmarks"))  # where a script there finds `speed`

import guard


def test_flops_and_bytes_as_traced_are_those_committed():
    assert "train_step, bytes" in output_of_guard()


def test_there_are_numbers_of_the_versions_that_make_installs():
    lines = (ROOT / ".ci/constraints.txt").read_text().splitlines()
    pinned = dict(one.split("==") for one in lines if not one.startswith("#"))
    jax, libtpu = pinned["jax"], pinned["libtpu"]
    assert set(json.loads(guard.NUMBERS.read_text())) >= {
        f"traced, jax {jax}",
        f"v5e, jax {jax}, libtpu {libtpu}",
    }


def test_what_is_worse_is_named_and_what_is_better_is_not():
    known = {"encode": {"flops": 1000, "bytes": 1000}}
    nothing = {"encode": {"temporaries": 0}}
    assert guard.table(nothing, nothing).endswith("|         0 |     - |")
    assert not guard.judged({"encode": {"flops": 1019, "bytes": 500}}, known)
    (line,) = guard.judged({"encode": {"flops": 1021, "bytes": 500}}, known)
    assert line.startswith("encode, flops: 1,021, not 1,000; mend it, or")
