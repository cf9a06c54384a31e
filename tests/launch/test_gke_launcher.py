"""launch/gke: the JobSet, checked by its schema, and XPK's command."""

import re

import pytest
import yaml

from pix2seq_d.training import interrupt

REQUIRED = {
    "accelerator": "tpu-v5-lite-podslice",
    "topology": "4x4",
    "image": "registry/i:1",
}


@pytest.fixture
def apply(cluster, arguments):
    """Runs the launcher; returns the manifest that kubectl got."""
    path = cluster.folder / "manifest.yaml"
    cluster.stand_in("kubectl", f"cat > {path}")

    def apply(**options):
        named = {**REQUIRED, "mount": str(cluster.folder), **options}
        given = [f"--{name}={value}" for name, value in named.items()]
        done = cluster.run("gke/train.sh", *given, "--", *arguments, check=False)
        apply.said = done.stderr
        if done.returncode:
            assert cluster.calls() == []
            return None
        assert cluster.calls() == [["kubectl", "create", "--filename=-"]]
        printed = cluster.run("gke/train.sh", *given, "--print", "--", *arguments)
        text = path.read_text()
        cluster.run_printed(printed.stdout)
        assert path.read_text() == text
        cluster.calls()
        return yaml.safe_load(text)

    return apply


def job_of(manifest):
    (job,) = manifest["spec"]["replicatedJobs"]
    return job, job["template"]["spec"], job["template"]["spec"]["template"]["spec"]


@pytest.mark.filterwarnings("default")  # another package's
@pytest.mark.parametrize("volume", [{"claim": "c"}, {"bucket": "b", "account": "a"}])
def test_the_manifest_is_of_the_jobsets_schema(volume, apply):
    models = pytest.importorskip("kubeflow_trainer_api.models")
    manifest = apply(**volume)
    # The schema's classes leave out fields that they do not know.
    jobset = models.JobsetV1alpha2JobSet.from_dict(manifest)
    assert jobset.to_dict() == manifest


def kubernetes(word):
    """What Kubernetes makes of a word of a command, where no variable is known."""
    return re.sub(r"\$(\$|\([^)]*\))", lambda m: "$" if m[1] == "$" else m[0], word)


def test_the_training_gets_its_arguments(apply, arguments, cluster):
    *_, pod = job_of(apply(claim="c"))
    (container,) = pod["containers"]
    logs = f"{cluster.folder}/work/run 1/logs"
    command = [kubernetes(word) for word in container["command"]]
    assert command == ["run_logged", logs, "pix2seq-d", "train", *arguments]


def test_a_stopped_or_preempted_training_begins_again(apply):
    manifest = apply(claim="c", restarts=7, grace_s=90)
    _, job, pod = job_of(manifest)
    by_status, by_disruption = job["podFailurePolicy"]["rules"]
    assert by_status["onExitCodes"]["values"] == [interrupt.EXIT_STATUS]
    assert by_status["onExitCodes"]["containerName"] == pod["containers"][0]["name"]
    assert by_disruption["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert {rule["action"] for rule in (by_status, by_disruption)} == {"FailJob"}
    policy = manifest["spec"]["failurePolicy"]
    (rule,) = policy["rules"]
    assert rule["onJobFailureReasons"] == ["PodFailurePolicy"]
    assert rule["action"] == "RestartJobSetAndIgnoreMaxRestarts"
    assert policy["maxRestarts"] == 7
    assert pod["terminationGracePeriodSeconds"] == 90


@pytest.mark.parametrize(
    ("options", "hosts", "chips"),
    [
        ({"topology": "4x4"}, 4, 4),
        ({"topology": "2x2x4"}, 4, 4),
        ({"topology": "2x4", "chips_per_host": 8}, 1, 8),
    ],
)
def test_slices_and_hosts(options, hosts, chips, apply):
    replicas = 3 if hosts > 1 else 1
    manifest = apply(claim="c", slices=replicas, **options)
    slices, job, pod = job_of(manifest)
    assert slices["replicas"] == replicas
    assert job["completions"] == job["parallelism"] == hosts
    assert pod["containers"][0]["resources"]["limits"] == {"google.com/tpu": chips}
    labels = list(pod["nodeSelector"].values())
    assert labels == [REQUIRED["accelerator"], options["topology"]]
    # A slice of one host may be one of several nodes of a pool.
    pools = manifest["metadata"].get("annotations", {}).values()
    assert list(pools) == ["cloud.google.com/gke-nodepool"] * (hosts > 1)


def test_volumes(apply, cluster):
    *_, pod = job_of(apply(claim="c"))
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "c"}
    mounted = {"name": "shared", "mountPath": str(cluster.folder)}
    assert pod["containers"][0]["volumeMounts"] == [mounted]
    _, job, pod = job_of(apply(bucket="b", account="a"))
    bucket = pod["volumes"][0]["csi"]["volumeAttributes"]
    assert (bucket["bucketName"], bucket["hostNetworkPodKSA"]) == ("b", "true")
    assert pod["serviceAccountName"] == "a"
    assert job["template"]["metadata"]["annotations"] == {"gke-gcsfuse/volumes": "true"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give --claim or --bucket"),
        ({"claim": "c", "bucket": "b"}, "one of them"),
        ({"claim": "c", "topology": "16"}, "--topology=16"),
        ({"claim": "c", "topology": "3x3"}, "9 chips"),
        ({"claim": "c", "topology": "2x2", "slices": 2}, "--slices=2"),
        ({"claim": "c", "slices": "two"}, "--slices=two"),
        ({"claim": "c", "name": "My_run"}, "--name=My_run"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message, apply):
    assert apply(**options) is None
    assert message in apply.said


def test_stop(cluster):
    cluster.stand_in("kubectl")
    cluster.stand_in("xpk")
    cluster.run("gke/train.sh", "--name=run-1", "--stop")
    cluster.run("gke/xpk.sh", "--cluster=c", "--name=run-1", "--stop")
    kubectl, xpk = cluster.calls()
    assert kubectl == ["kubectl", "delete", "jobset", "run-1"]
    assert xpk == ["xpk", "workload", "delete", "--cluster=c", "--workload=run-1"]


def test_xpk_gets_a_command_that_a_shell_reads(cluster, arguments):
    cluster.stand_in("xpk")
    options = ["--cluster=c", "--type=v6e-16", "--slices=2", "--image=i", "--storage=s"]
    given = [*options, f"--mount={cluster.folder}", "--restarts=9", "--grace_s=60"]
    cluster.run("gke/xpk.sh", *given, "--", *arguments)
    ((*xpk, command),) = cluster.calls()
    assert xpk[:3] == ["xpk", "workload", "create"]
    assert {
        "--tpu-type=v6e-16",
        "--num-slices=2",
        "--docker-image=i",
        "--max-restarts=9",
        f"--restart-on-exit-codes={interrupt.EXIT_STATUS}",
        "--termination-grace-period-seconds=60",
    } < set(xpk)
    cluster.stand_in("run_logged")
    text = kubernetes(command.removeprefix("--command="))
    (cluster.folder / "host.sh").write_text(text)
    cluster.run(str(cluster.folder / "host.sh"))
    logs = f"{cluster.folder}/work/run 1/logs"
    assert cluster.calls() == [["run_logged", logs, "pix2seq-d", "train", *arguments]]
