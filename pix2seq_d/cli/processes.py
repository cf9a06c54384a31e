"""Flags of a job of several processes."""

from absl import flags

SECTION = "Several processes; SLURM and TPU hosts are found without these flags"
NAMES = ("coordinator", "num_processes", "process_id", "join_timeout_s")


def define(values: flags.FlagValues) -> None:
    """Adds the flags."""
    flags.DEFINE_string(
        "coordinator",
        None,
        "HOST:PORT of process 0, any free port; JAX_COORDINATOR_ADDRESS says the same.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "num_processes",
        None,
        "Number of processes of the job; or JAX_NUM_PROCESSES.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "process_id",
        None,
        "Which one this is, from 0; or JAX_PROCESS_ID, or JOB_COMPLETION_INDEX of an "
        "indexed Job of Kubernetes.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "join_timeout_s",
        300,
        "Longest wait for the other processes at the start, in seconds.",
        flag_values=values,
        lower_bound=1,
    )


def join(values: flags.FlagValues) -> None:
    """Joins the job, if there is one; before the first use of a device."""
    from pix2seq_d.sharding import processes

    processes.join(
        coordinator=values.coordinator,
        num_processes=values.num_processes,
        process_id=values.process_id,
        timeout_s=values.join_timeout_s,
    )
