"""What all launchers have in common: --help, --print, and one line for a mistake."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAUNCHERS = {
    "node/train.sh": [],
    "docker/train.sh": ["--platform=cuda", "--mount=MOUNT", "--build"],
    "slurm/train.sh": ["--nodes=2", "--partition=a b"],
    "tpu/train.sh": [
        "--name=n",
        "--zone=z",
        "--type=v6e-16",
        "--image=i",
        "--mount=MOUNT",
    ],
    "gke/train.sh": [
        "--accelerator=a",
        "--topology=4x4",
        "--image=i",
        "--mount=MOUNT",
        "--claim=c",
    ],
    "gke/xpk.sh": [
        "--cluster=c",
        "--type=v6e-16",
        "--image=i",
        "--mount=MOUNT",
        "--storage=s",
    ],
}
EVERY = pytest.mark.parametrize("launcher", LAUNCHERS)


def options(launcher, cluster):
    return [o.replace("MOUNT", str(cluster.folder)) for o in LAUNCHERS[launcher]]


@pytest.fixture
def places(cluster):
    for name in ("pix2seq-d", "docker", "sbatch", "kubectl", "xpk", "srun"):
        cluster.stand_in(name)
    done = "echo pix2seq_d: this host is done"
    cluster.stand_in("gcloud", f"[ $4 = describe ] && echo ACTIVE || {done}")
    return cluster


@EVERY
def test_print_shows_what_is_run_and_runs_nothing(launcher, places, arguments):
    given = [*options(launcher, places), "--", *arguments]
    places.run(launcher, *given)
    ran = places.calls()
    printed = places.run(launcher, "--print", *given).stdout
    assert places.calls() == []
    places.run_printed(printed)
    shown = places.calls()
    if launcher == "tpu/train.sh":  # looks at the state, and finds slices
        ran, shown = ran[1:], shown[1:]
    if launcher == "slurm/train.sh":  # shows what the job does, too
        shown = shown[:-1]
    assert shown == ran
    assert len(ran) == (2 if "--build" in given else 1)


@EVERY
def test_help_is_the_comment_at_the_top(launcher, places):
    text = places.run(launcher, "--help").stdout
    assert f"  launch/{launcher} " in text
    assert "--print" in text
    assert "Logs: WORKDIR/logs" in text
    assert "#" not in text
    assert places.calls() == []


@EVERY
@pytest.mark.parametrize(
    ("extra", "train", "message"),
    [
        ([], ["--config=a"], "--workdir is missing"),
        ([], ["--workdir=/w"], "--config is missing"),
        (["--config=a"], [], "stand behind --"),
        ([], ["--config=a", "--workdir=gs://b/w"], "mount the bucket"),
        ([], ["--config=a\nb", "--workdir", "/w"], "line break"),
    ],
)
def test_a_mistake_ends_in_one_line(launcher, extra, train, message, places):
    given = [*options(launcher, places), *extra]
    done = places.run(launcher, *given, "--", *train, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{ROOT}/launch/{launcher}: error: ")
    assert message in line
    assert places.calls() == []


@pytest.mark.parametrize(
    "launcher", [name for name in LAUNCHERS if "slurm" not in name]
)
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--nonsense=1", "unknown option --nonsense"),
        ("--nonsense", "unknown option --nonsense"),
        ("--print=yes", "--print takes no value"),
        ("stray", "unexpected argument stray"),
    ],
)
def test_options_are_checked(launcher, option, message, places, arguments):
    given = [*options(launcher, places), option]
    done = places.run(launcher, *given, "--", *arguments, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert places.calls() == []


@pytest.mark.parametrize(
    ("launcher", "option"),
    [
        ("docker/train.sh", "--platform"),
        ("tpu/train.sh", "--zone"),
        ("tpu/train.sh", "--image"),
        ("gke/train.sh", "--topology"),
        ("gke/xpk.sh", "--cluster"),
    ],
)
def test_a_missing_option_is_named(launcher, option, places, arguments):
    given = [o for o in options(launcher, places) if not o.startswith(option)]
    done = places.run(launcher, *given, "--", *arguments, check=False)
    assert done.returncode == 2
    assert f"{option} is missing" in done.stderr
    done = places.run(launcher, *given, option, "--", *arguments, check=False)
    assert f"{option} needs a value" in done.stderr


@pytest.mark.parametrize(
    "launcher", ["docker/train.sh", "tpu/train.sh", "gke/train.sh", "gke/xpk.sh"]
)
@pytest.mark.parametrize("workdir", ["/elsewhere/w", "work/w", "MOUNT", "MOUNT2/w"])
def test_a_workdir_that_only_the_container_has_is_refused(launcher, workdir, places):
    workdir = workdir.replace("MOUNT", str(places.folder))
    train = ["--config=a", f"--workdir={workdir}"]
    done = places.run(launcher, *options(launcher, places), "--", *train, check=False)
    assert done.returncode == 2
    assert f"--workdir={workdir} is not below --mount={places.folder}" in done.stderr


@pytest.mark.parametrize(
    ("launcher", "program"),
    [
        ("docker/train.sh", "docker"),
        ("slurm/train.sh", "sbatch"),
        ("tpu/train.sh", "gcloud"),
        ("gke/train.sh", "kubectl"),
        ("gke/xpk.sh", "xpk"),
    ],
)
def test_a_program_that_is_not_here_is_named(launcher, program, cluster, arguments):
    given = options(launcher, cluster)
    done = cluster.run(launcher, *given, "--", *arguments, check=False)
    assert done.returncode == 2
    assert f"{program} is not installed here" in done.stderr
