"""launch/tpu/train.sh: slices that come, go and come again."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from pix2seq_d.training import interrupt

LAUNCHER = Path(__file__).resolve().parents[2] / "launch/tpu/train.sh"
STOPPED = interrupt.EXIT_STATUS
SLICES = ["--name=n", "--zone=z"]


@pytest.fixture
def launch(cluster, arguments):
    """Runs the launcher on slices of these states; returns status and verbs."""
    cluster.stand_in("sleep")

    def launch(*options, states, statuses=(0,)):
        state = cluster.answers("states", states)
        status = cluster.answers("statuses", statuses)
        cluster.stand_in(
            "gcloud",
            f"""case $4 in
describe)
    state={state}
    case $state in
    NOTHING) echo ERROR: login >&2; exit 1 ;;
    ABSENT) echo ERROR: NOT_FOUND >&2; exit 1 ;;
    *) echo $state ;;
    esac ;;
ssh)
    status={status}
    case $status in
    UNREACHED) echo WARNING: Could not prepare all 1 nodes >&2; exit 0 ;;
    0) echo pix2seq_d: this host is done ;;
    esac
    exit $status ;;
esac""",
        )
        given = [
            *SLICES,
            "--type=v6e-16",
            "--image=i",
            f"--mount={cluster.folder}",
            *options,
        ]
        done = cluster.run("tpu/train.sh", *given, "--", *arguments, check=False)
        calls = [call for call in cluster.calls() if call[0] == "gcloud"]
        assert all(
            c[:4] == ["gcloud", "compute", "tpus", "queued-resources"] for c in calls
        )
        assert all(c[5:7] == ["n", "--zone=z"] for c in calls)
        launch.said = done.stderr
        launch.calls = calls
        return done.returncode, [c[4] for c in calls if c[4] != "describe"]

    return launch


def test_slices_are_asked_for_and_waited_for(launch):
    states = ["ABSENT", "ACCEPTED", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
    assert launch(states=states) == (0, ["create", "ssh"])
    assert all(state in launch.said for state in states)
    assert "the slices cost money" in launch.said


def test_a_preempted_training_begins_again_on_new_slices(launch):
    states = ["ACTIVE", "SUSPENDING", "SUSPENDED", "ABSENT", "ACCEPTED", "ACTIVE"]
    found = launch(states=states, statuses=[STOPPED, 0])
    assert found == (0, ["ssh", "delete", "create", "ssh"])


@pytest.mark.parametrize("status", [1, STOPPED, 137])
def test_what_failed_or_was_stopped_is_not_repeated(status, launch):
    assert launch(states=["ACTIVE"], statuses=[status, 0]) == (status, ["ssh"])


def test_a_lost_connection_is_made_again(launch):
    assert launch(states=["ACTIVE"], statuses=[255, 0]) == (0, ["ssh", "ssh"])


def test_success_of_gcloud_without_a_host_is_none(launch):
    found = launch(states=["ACTIVE"], statuses=["UNREACHED", 0])
    assert found == (0, ["ssh", "ssh"])
    assert launch.said.index("status 255") < launch.said.index("trained")


def test_hosts_that_cannot_be_reached_are_given_up(launch):
    assert launch(states=["ACTIVE"], statuses=[255]) == (2, 20 * ["ssh"])
    assert "not every host was reached 20 times in a row" in launch.said
    # Slices that are taken away are not counted.
    states = 30 * ["ACTIVE", "SUSPENDED", "SUSPENDED", "ABSENT"]
    found = launch(states=[*states, "ACTIVE"], statuses=[*(30 * [255]), 0])
    assert found == (0, [*(30 * ["ssh", "delete", "create"]), "ssh"])


def test_a_failed_request_is_made_again_once(launch):
    states = ["FAILED", "ABSENT", "FAILED"]
    assert launch(states=states) == (2, ["delete", "create"])
    assert "describe n --zone=z says why" in launch.said


def test_gcloud_says_what_is_wrong_with_it(launch):
    assert launch(states=["NOTHING"]) == (1, [])
    assert "ERROR: login" in launch.said


def test_a_look_that_fails_later_is_repeated(launch):
    states = ["ABSENT", "NOTHING", "ACTIVE"]
    assert launch(states=states) == (0, ["create", "ssh"])


def created(launch):
    return next(set(call[7:]) for call in launch.calls if call[4] == "create")


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], {"--node-id=n", "--runtime-version=v2-alpha-tpuv6e"}),
        (["--slices=2", "--spot"], {"--node-count=2", "--node-prefix=n", "--spot"}),
        (["--reserved"], {"--node-id=n", "--reserved"}),
        (["--type=v5p-8"], {"--runtime-version=v2-alpha-tpuv5"}),
        (["--type=v5litepod-8"], {"--runtime-version=v2-alpha-tpuv5-lite"}),
        (["--type=v4-8"], {"--runtime-version=tpu-ubuntu2204-base"}),
        (["--type=new-8", "--runtime=r"], {"--runtime-version=r"}),
    ],
)
def test_what_is_asked_for(options, asked, launch):
    launch(*options, states=["ABSENT", "ACTIVE"])
    assert asked <= created(launch)
    capacity = {"--spot", "--reserved"}
    assert created(launch) & capacity == asked & capacity


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--spot", "--reserved"], "exclude each other"),
        (["--slices=0"], "--slices=0"),
        (["--type=new-8"], "add --runtime=NAME"),
        (["--poll_s=x"], "--poll_s=x"),
        (["--setup=/nowhere"], "--setup=/nowhere cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message, launch):
    assert launch(*options, states=["ACTIVE"]) == (2, [])
    assert message in launch.said


def on_hosts(launch):
    found = [call for call in launch.calls if call[4] == "ssh"]
    everywhere = {"--node=all", "--worker=all", "--batch-size=all"}
    assert all(everywhere < set(call) for call in found)
    return [call[-1].removeprefix("--command=") for call in found]


def on_host(cluster, command, *, running, status=0):
    """What a host makes of a command; returns the calls of docker and the status."""
    cluster.stand_in("sudo", '"$@"')
    cluster.stand_in("gcloud")
    cluster.stand_in(
        "docker",
        f"case $1 in ps) echo {'c0ffee' if running else ''} ;; "
        f"wait) echo {status} ;; esac",
    )
    (cluster.folder / "host.sh").write_text(command)
    done = cluster.run(str(cluster.folder / "host.sh"), check=False)
    return [call for call in cluster.calls() if call[0] != "sudo"], done.returncode


def test_a_host_starts_the_training_follows_it_and_ends_as_it_did(
    launch, cluster, arguments
):
    launch("--image=us-docker.pkg.dev/p/i", states=["ACTIVE"])
    (command,) = on_hosts(launch)
    calls, status = on_host(cluster, command, running=False, status=STOPPED)
    assert status == STOPPED
    _, removal, login, run, logs, _ = calls
    assert removal[1] == "rm"
    assert login == [
        "gcloud",
        "auth",
        "configure-docker",
        "us-docker.pkg.dev",
        "--quiet",
    ]
    assert {"--init", "--stop-timeout=300", "--privileged", "--net=host"} <= set(run)
    inside = run[run.index("us-docker.pkg.dev/p/i") + 1 :]
    workdir = f"{cluster.folder}/work/run 1"
    assert inside == [f"{workdir}/logs", "pix2seq-d", "train", *arguments]
    assert logs[1] == "logs"


def test_a_host_whose_training_runs_is_attached_to(launch, cluster):
    launch(states=["ACTIVE"])
    (command,) = on_hosts(launch)
    calls, status = on_host(cluster, command, running=True)
    assert [call[1] for call in calls] == ["ps", "logs", "wait"]
    assert status == 0


def test_the_setup_goes_before_the_training(launch, cluster):
    setup = cluster.folder / "setup.sh"
    setup.write_text("mount 'it is  here' \"a'b\"\n# then\nsecond\n")
    launch(f"--setup={setup}", states=["ACTIVE"])
    first, training = on_hosts(launch)
    assert "docker" in training
    cluster.stand_in("mount")
    cluster.stand_in("second")
    (cluster.folder / "host.sh").write_text(first)
    cluster.run(str(cluster.folder / "host.sh"))
    assert cluster.calls() == [["mount", "it is  here", "a'b"], ["second"]]


def test_nothing_is_trained_where_the_setup_fails(launch, cluster):
    setup = cluster.folder / "setup.sh"
    setup.write_text("true")
    found = launch(f"--setup={setup}", states=["ACTIVE"], statuses=[1, 0])
    assert found == (1, ["ssh"])


def test_what_hosts_say_is_shown_at_once(cluster, arguments):
    """Not when they end: the stand-in goes on once its first line was read."""
    seen = cluster.folder / "seen"
    os.mkfifo(seen)
    cluster.stand_in("sleep")
    cluster.stand_in(
        "gcloud",
        f"""case $4 in
describe) echo ACTIVE ;;
ssh)
    echo step 1
    cat {seen}
    echo pix2seq_d: this host is done ;;
esac""",
    )
    options = [*SLICES, "--type=v6e-16", "--image=i", f"--mount={cluster.folder}"]
    process = subprocess.Popen(
        ["bash", str(LAUNCHER), *options, "--", *arguments],
        env=cluster.environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    late = threading.Timer(30, os.killpg, [process.pid, signal.SIGKILL])
    late.start()
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "step 1\n"
        seen.write_text("")
        assert process.wait() == 0
    late.cancel()


def test_a_stop_that_reached_no_host_is_none(cluster):
    cluster.stand_in("gcloud", "echo WARNING: Could not prepare all 1 nodes >&2")
    done = cluster.run("tpu/train.sh", *SLICES, "--stop", check=False)
    assert done.returncode == 255
    assert "--stop: not every host was reached; give it again" in done.stderr


def test_stop_and_delete(cluster):
    cluster.stand_in("gcloud", "echo pix2seq_d: this host is done")
    cluster.run("tpu/train.sh", *SLICES, "--stop")
    cluster.run("tpu/train.sh", *SLICES, "--delete")
    stop, delete = cluster.calls()
    assert stop[4] == "ssh"
    command, _, mark = stop[-1].partition(" && ")
    assert command == "--command=sudo docker stop -t 300 pix2seq_d"
    assert mark == "echo 'pix2seq_d: this host is done'"
    assert delete[4:] == ["delete", "n", "--zone=z", "--force", "--quiet"]
    shown = cluster.run("tpu/train.sh", *SLICES, "--delete", "--print").stdout
    assert shown.split() == delete
    assert cluster.calls() == []
