"""Restores a training state from the folder of one checkpoint."""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from pix2seq_d.labels import LabelSpace
from pix2seq_d.sharding.gather import gather
from pix2seq_d.training import checkpoint_format as formats
from pix2seq_d.training import checksums, orbax_errors
from pix2seq_d.training.checkpoint_format import CheckpointError
from pix2seq_d.training.state import TrainState


class UnreadableError(CheckpointError):
    """The files of a checkpoint are damaged, or some are missing."""


def state_items(state: TrainState) -> dict[str, Any]:
    """A state as the items of a checkpoint."""
    return {
        "variables": state.variables,
        "ema": state.ema,
        "optimizer": {"step": state.step, "state": state.opt_state},
    }


def read_state(folder: Path, abstract: TrainState) -> TrainState:
    """Reads a whole training state; all processes have to call it.

    Args:
      folder: of one checkpoint.
      abstract: the state's shapes, dtypes and shardings, of any mesh.
    Raises:
      UnreadableError: files are damaged or missing.
      CheckpointError: it has other parameters, or a newer format.
    """
    fault = None
    if jax.process_index() == 0:
        fault = checksums.fault(folder, formats.ITEMS, optional=(formats.META,))
    fault = gather(fault)[0]
    if fault is not None:
        raise UnreadableError(f"{folder} cannot be restored: {fault}")
    try:
        formats.read_meta(folder)
        cure = (
            "train with the config it was saved with, or carry over what fits into a "
            f"new workdir by --config.init.from={folder.parent.parent}"
        )
        found = read_arrays(folder, state_items(abstract), cure=cure)
    except CheckpointError:
        raise
    except Exception as error:
        # Files that agree with their checksums are whole; and several processes could
        # not agree on another checkpoint: one of them may have failed alone.
        whole = (folder / checksums.CHECKSUMS).exists() or jax.process_count() > 1
        raise (CheckpointError if whole else UnreadableError)(
            f"{folder} cannot be restored: {orbax_errors.one_line(error)}"
        ) from error
    return TrainState(
        step=found["optimizer"]["step"],
        variables=found["variables"],
        ema=found["ema"],
        opt_state=found["optimizer"]["state"],
    )


def read_arrays(folder: Path, wanted: dict[str, Any], *, cure: str) -> dict[str, Any]:
    """Reads items of arrays, exactly those wanted.

    Args:
      folder: of one checkpoint.
      wanted: item -> tree of `ShapeDtypeStruct` with shardings.
      cure: ends the message where they do not fit.
    Raises:
      CheckpointError: the checkpoint has other arrays.
    """
    formats.check_fits(folder, wanted, cure=cure)
    args = {item: ocp.args.StandardRestore(tree) for item, tree in wanted.items()}
    # Each process reads for itself. Orbax's barrier at the end would wait for one that
    # failed, e.g. because the checkpoint was deleted meanwhile.
    process = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=process, active_processes={process}
    )
    with ocp.Checkpointer(
        ocp.CompositeCheckpointHandler(), multiprocessing_options=alone
    ) as checkpointer:
        found = checkpointer.restore(folder, args=ocp.args.Composite(**args))
    return {item: found[item] for item in wanted}


def read_labels(folder: Path) -> LabelSpace:
    """The label space that a checkpoint was trained with.

    Raises:
      UnreadableError: it cannot be read.
    """
    try:
        return LabelSpace.from_json(formats.read_json(folder, "labels")["categories"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UnreadableError(
            f"{folder} cannot be restored: labels: {orbax_errors.one_line(error)}"
        ) from error
