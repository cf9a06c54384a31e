"""The processes of one job: found by flags or environment, joined by JAX (ours).

Every process runs the same program on its own devices; JAX's coordination service, in
process 0, brings them together. On CPU they talk through Gloo.
"""

import dataclasses
import glob
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Mapping

import jax

from pix2seq_d.config import ConfigError


@dataclasses.dataclass(frozen=True)
class Job:
    """This process's place in a job of several.

    Attributes:
      coordinator: HOST:PORT of process 0; None: JAX asks the TPU runtime or SLURM.
      num_processes: of the job; None likewise.
      process_id: of this process, from 0; None likewise.
      local_device_ids: GPUs of this process among those it can see; None: all.
    """

    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None
    local_device_ids: tuple[int, ...] | None = None


def find(
    environ: Mapping[str, str],
    *,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    has_tpu: bool = False,
) -> Job | None:
    """This process's job; None where it is alone.

    The first of these that says something:
      the arguments, all three of them;
      JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID, in whose place
        Kubernetes sets JOB_COMPLETION_INDEX in an indexed Job;
      a SLURM step of several tasks;
      TPU hosts.

    Args:
      environ: environment variables.
      coordinator: HOST:PORT of process 0.
      num_processes: of the job.
      process_id: from 0.
      has_tpu: whether this machine has TPU chips.
    Raises:
      ConfigError: part of a job is missing or does not make sense.
    """
    given = {
        "--coordinator": coordinator,
        "--num_processes": num_processes,
        "--process_id": process_id,
    }
    if any(value is not None for value in given.values()):
        return _complete(given)
    if environ.get("JAX_COORDINATOR_ADDRESS"):
        index = "JAX_PROCESS_ID"
        if index not in environ and "JOB_COMPLETION_INDEX" in environ:
            index = "JOB_COMPLETION_INDEX"
        return _complete(
            {
                name: environ.get(name)
                for name in ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", index)
            }
        )
    # The shell of an allocation has a step of one task, however many SLURM_NTASKS.
    if _number(environ, "SLURM_STEP_NUM_TASKS", 1) > 1:
        return Job(local_device_ids=_slurm_devices(environ))
    if has_tpu:
        return Job()
    return None


def join(
    *,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    timeout_s: int = 300,
) -> None:
    """Joins the job that `find` finds, before the first use of a device.

    Args:
      coordinator: as of `find`, as all that follow.
      num_processes: likewise.
      process_id: likewise.
      timeout_s: how long to wait for the other processes, in seconds.
    Raises:
      ConfigError: as of `find`.

    Ends the process with status 1 if the others are not there in time.
    """
    job = find(
        os.environ,
        coordinator=coordinator,
        num_processes=num_processes,
        process_id=process_id,
        has_tpu=_has_tpu(),
    )
    if job is None:
        return
    known = job.coordinator is not None
    # JAX itself would abort with a stack trace.
    watchdog = threading.Timer(timeout_s, _give_up, (job, timeout_s))
    watchdog.daemon = True
    watchdog.start()
    try:
        jax.distributed.initialize(
            coordinator_address=job.coordinator,
            num_processes=job.num_processes,
            process_id=job.process_id,
            local_device_ids=job.local_device_ids,
            # What is known needs no completion, which would hide GPUs under SLURM.
            cluster_detection_method="deactivate" if known else None,
            initialization_timeout=timeout_s + 60,
        )
    finally:
        watchdog.cancel()


def _give_up(job: Job, timeout_s: int) -> None:
    known = job.coordinator is not None
    who = f"process {job.process_id} of {job.num_processes}" if known else "a process"
    where = f" at {job.coordinator}" if known else ""
    print(
        f"error: {who} did not find the others{where} within {timeout_s} s; check that "
        "all run, that the address is that of process 0, its port open and free, and "
        "that each process has an id of its own",
        file=sys.stderr,
        flush=True,
    )
    os._exit(1)


def _complete(given: Mapping[str, str | int | None]) -> Job:
    missing = [name for name, value in given.items() if value in (None, "")]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)} missing: a job of several processes needs "
            f"{', '.join(given)}"
        )
    (address, coordinator), (count_name, count), (id_name, index) = given.items()
    if not re.fullmatch(r".+:\d+", str(coordinator)):
        raise ConfigError(
            f"{address}={coordinator}: give host and port of process 0, e.g. node1:1234"
        )
    try:
        num_processes, process_id = int(str(count)), int(str(index))
    except ValueError as error:
        raise ConfigError(
            f"{count_name}={count}, {id_name}={index}: give whole numbers"
        ) from error
    if num_processes < 1:
        raise ConfigError(f"{count_name}={num_processes}: a job has at least 1 process")
    if not 0 <= process_id < num_processes:
        raise ConfigError(
            f"{id_name}={process_id} is no process of {count_name}={num_processes}; "
            f"they are numbered 0 to {num_processes - 1}"
        )
    return Job(str(coordinator), num_processes, process_id)


def _slurm_devices(environ: Mapping[str, str]) -> tuple[int, ...] | None:
    """The GPUs of this task of those it can see; an even share of its node's.

    JAX would take one GPU for each task, whatever the node has.
    """
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        count = len([device for device in visible.split(",") if device])
    else:
        count = _number(environ, "SLURM_GPUS_ON_NODE", 0)
    if count == 0:
        return None
    tasks = _tasks_on_node(environ)
    if count == 1:  # bound by SLURM: each task sees its own
        return (0,)
    if count % tasks:
        raise ConfigError(
            f"SLURM: {tasks} tasks of this node cannot share its {count} GPUs evenly; "
            "take --ntasks-per-node=1 or one task for each GPU"
        )
    each = count // tasks
    first = each * _number(environ, "SLURM_LOCALID", 0)
    return tuple(range(first, first + each))


def _tasks_on_node(environ: Mapping[str, str]) -> int:
    """Of SLURM_STEP_TASKS_PER_NODE, e.g. '8(x4),2', and the node's index."""
    counts: list[int] = []
    for part in environ.get("SLURM_STEP_TASKS_PER_NODE", "1").split(","):
        tasks, _, repeat = part.partition("(x")
        counts += [int(tasks)] * int(repeat.rstrip(")") or 1)
    return counts[min(_number(environ, "SLURM_NODEID", 0), len(counts) - 1)]


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, "")
    return int(value) if value.isdigit() else default


def _has_tpu() -> bool:
    """Whether chips are here, without starting the TPU runtime."""
    chips = glob.glob("/dev/accel[0-9]*") + glob.glob("/dev/vfio/[0-9]*")
    wanted = os.environ.get("JAX_PLATFORMS", "tpu")
    has_library = importlib.util.find_spec("libtpu") is not None
    return bool(chips) and has_library and "tpu" in wanted
