"""Compiles a case and keeps the numbers that docs/scaling.md is made of."""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from typing import Any

import jax

from pix2seq_d import config as config_lib
from pix2seq_d.config import Config
from pix2seq_d.dry_run import early, measure, slice_sampling, topology, traffic
from pix2seq_d.dry_run.hlo import Collective
from pix2seq_d.dry_run.memory import DoesNotFit
from pix2seq_d.models import parameter_count, variable_shapes
from pix2seq_d.scaling.cases import Case
from pix2seq_d.training import checkpoint_format
from pix2seq_d.training.program import Program
from pix2seq_d.training.throughput import image_flops

Record = dict[str, Any]

_COMPILED = ("model.", "diffusion.", "optimizer.", "train.", "sharding.")


def fingerprint(case: Case, config: Config) -> str:
    """Changes with everything but the code that the case is compiled from.

    Fields of the config that reach no program (evaluation, data but for ids by place)
    are left out; so is `data.past_noise`, which no recipe has. The versions of jax and
    of the TPU compiler are in it.
    """
    fields = {
        name: value
        for name, value in config_lib.flatten(config).items()
        if name.startswith(_COMPILED)
        or (case.what == "sample" and name == "evaluation.batch_size")
        or (case.what == "train" and (name, value) == ("data.ids.order", "place"))
    }
    content = [case.what, case.slice, versions(), fields]
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Of the packages that the estimates come from; none for one that is missing."""
    found = {}
    for name in ("jax", "libtpu"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def facts(config: Config) -> Record:
    """What a recipe trains, wherever it does: batch, length, size, arithmetic; JSON.

    Args:
      config: with all sizes and lengths settled.
    """
    variables = variable_shapes(config.model)
    return {
        "batch": config.train.batch_size,
        "num_steps": config.train.num_steps,
        "image_size": list(config.model.image_size),
        "parameters": parameter_count(variables["params"]),
        # Each has two arrays of statistics.
        "batch_norms": len(jax.tree.leaves(variables["batch_stats"])) // 2,
        "image_flops": image_flops(config.model, config.diffusion),
    }


def record(case: Case, config: Config, *, to_the_end: bool) -> Record:
    """What the TPU compiler says about a case; JSON.

    Args:
      case: what to compile.
      config: the case's, with all sizes and lengths settled.
      to_the_end: whether code is generated; else there are no cycles, see `early`.
    Raises:
      ValueError: no such slice, or the batch or the mesh does not fit it.
    """
    made = facts(config) | {
        "fingerprint": fingerprint(case, config),
        "versions": versions(),
        "date": datetime.date.today().isoformat(),
        "commit": checkpoint_format.commit(),
        "cycles": None,
    }
    try:
        if case.what == "sample":
            found = _sample(config, case)
        else:
            found = _train(config, case) if to_the_end else _settle(config, case)
    except DoesNotFit as error:
        return made | {"fits": False, "needed": error.needed, "limit": error.limit}
    return made | found | {"fits": True}


def _train(config: Config, case: Case) -> Record:
    found = measure.measure(config, topology.devices(case.slice))
    return {
        "flops": found.flops,
        "cycles": found.cycles,
        "bytes": found.memory.total,
        "traffic": _traffic(found.collectives, found.program),
        "compile_seconds": round(found.compile_seconds),
    }


def _settle(config: Config, case: Case) -> Record:
    found = early.settle(config, case.slice)
    return {
        "bytes": found.bytes,
        "traffic": _traffic(found.collectives, found.program),
        "compile_seconds": round(found.compile_seconds),
    }


def _sample(config: Config, case: Case) -> Record:
    found = slice_sampling.measure(config, topology.devices(case.slice))
    return {
        "images": found.images,
        "is_video": config.model.num_cond_frames > 0,
        "once_cycles": found.once_cycles,
        "step_cycles": found.step_cycles,
        "cycles": found.once_cycles + found.step_cycles,
        "bytes": found.memory.total,
        "exchanged": found.exchanged,
        "compile_seconds": round(found.compile_seconds),
    }


def _traffic(collectives: Iterable[Collective], program: Program) -> list[Record]:
    return [dataclasses.asdict(row) for row in traffic.summarize(collectives, program)]
