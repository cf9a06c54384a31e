"""Stage transfer: weights of one model -> variables of a model of another stage.

What may differ between the two (spec 5.4): image and mask size, more past masks or
self-conditioning at the input, conditioning on images or not, and a source that is
an image encoder only. All else has to fit, and the first array that does not is named.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pix2seq_d.config import ModelConfig
from pix2seq_d.convert import matching, official_names
from pix2seq_d.convert.report import Report, Source
from pix2seq_d.models import Pix2SeqD, variable_shapes

Variables = dict[str, Any]

INPUT_KERNEL = "params/decoder/input/kernel"


@dataclasses.dataclass(frozen=True)
class Transferred:
    """Variables to start a training from.

    Attributes:
      variables: {'params', 'batch_stats'}, float32, of the target's model.
      ema: the same for the moving average.
      report: where every array comes from.
    """

    variables: Variables
    ema: Variables
    report: Report


def transfer(
    source: Source | Sequence[Source],
    target_config: ModelConfig,
    *,
    key: jax.Array | None = None,
) -> Transferred:
    """Carries weights over to the model of `target_config`.

    An array of the same shape is copied. The first kernel of the decoder grows by
    rows of zeros for input channels that the source did not have, so that the
    outputs do not change, whatever the new inputs are. What no source has is drawn
    as `Pix2SeqD.init` draws it, the same for weights and average.

    Args:
      source: weights, or several: of each module the first that has it counts, as
        in [pre-trained encoder, unconditional decoder].
      target_config: the model that is wanted.
      key: for the new arrays; key(0) by default.
    Raises:
      ValueError: an array that does not fit; the message names it, both shapes
        and the config field to change.
    Source: spec 5.4; zero rows are ours (spec 12).
    """
    sources = [source] if isinstance(source, Source) else list(source)
    model = Pix2SeqD(target_config)
    abstract = variable_shapes(target_config)
    target = dict(matching.leaves_of(abstract))
    origins = {path: _origin(path, sources) for path in target}
    for number in range(len(sources)):
        _require_fit(number, sources, target, target_config)
    given = [dict(matching.leaves_of(one.variables)) for one in sources]
    averages = [dict(matching.leaves_of(one.ema)) for one in sources]

    copied, widened, new = [], [], []
    for path, leaf in target.items():
        origin = origins[path]
        if origin is None or path not in given[origin]:
            new.append((path, leaf.shape))
        elif given[origin][path].shape == leaf.shape:
            copied.append((path, leaf.shape))
        else:
            widened.append((path, given[origin][path].shape, leaf.shape))
    used = {(origin, path) for path, origin in origins.items()}
    dropped = [
        (path, leaf.shape)
        for number, leaves in enumerate(given)
        for path, leaf in leaves.items()
        if (number, path) not in used
    ]
    fresh = _draw(model, [path for path, _ in new], key)

    def fill(arrays: list[dict[str, Any]]) -> Variables:
        def pick(path: Any, leaf: Any) -> Any:
            name = matching.name_of(path)
            if name in fresh:
                return jnp.copy(fresh[name])
            origin = origins[name]
            assert origin is not None
            array = np.asarray(arrays[origin][name], np.float32)
            if array.shape != leaf.shape:
                array = _widen(array, leaf.shape, sources[origin], target_config)
            return jnp.array(array)

        return jax.tree_util.tree_map_with_path(pick, abstract)

    report = Report(
        sources=tuple(sources),
        target=target_config,
        copied=tuple(copied),
        widened=tuple(widened),
        new=tuple(new),
        dropped=tuple(dropped),
    )
    return Transferred(fill(given), fill(averages), report)


def _origin(path: str, sources: Sequence[Source]) -> int | None:
    """Number of the first source that answers for the module of an array."""
    for number, source in enumerate(sources):
        if source.covers(path):
            return number
    return None


def _draw(
    model: Pix2SeqD, paths: Sequence[str], key: jax.Array | None
) -> dict[str, jax.Array]:
    """Fresh arrays under the given paths."""
    if not paths:
        return {}
    if key is None:
        key = jax.random.key(0)
    made = dict(matching.leaves_of(model.init(key)))
    return {path: made[path] for path in paths}


def _require_fit(
    number: int,
    sources: Sequence[Source],
    target: dict[str, Any],
    config: ModelConfig,
) -> None:
    """Raises ValueError for the first array of a source that cannot be carried over."""
    source = sources[number]
    wanted = {p: leaf for p, leaf in target.items() if _origin(p, sources) == number}
    if not wanted:
        raise ValueError(
            f"{source.name}: the model takes nothing from it; leave it out, or change "
            "model.conditioning"
        )
    modules = {path.split("/")[1] for path in target}
    given = dict(matching.leaves_of(source.variables))
    beyond = {
        path: leaf
        for path, leaf in given.items()
        if path not in target
        and path.split("/")[1] in modules
        and _origin(path, sources) == number
        and not _optional(path, source, config)
    }
    problems = []
    for slot in _slots(wanted):
        path = slot.target
        if path not in given:
            if not _optional(path, source, config):
                problems.append(
                    f"it has no {path}, for which the model has the shape "
                    f"{slot.shape}; {matching.cure(slot.source)}"
                )
            continue
        shape = tuple(given[path].shape)
        if shape == slot.shape:
            continue
        field: str | None = matching.field_of(slot, shape)
        if path == INPUT_KERNEL:
            field = _why_not_widened(shape, slot.shape, source, config)
        if field is not None:
            problems.append(
                f"{path} has shape {shape}, the model needs {slot.shape}; change "
                f"{field}"
            )
    problems += [
        f"the model has no place for {slot.target} of shape {slot.shape}; "
        f"{matching.cure(slot.source)}"
        for slot in _slots(beyond)
    ]
    if problems:
        more = f" ({len(problems) - 1} more differ)" if len(problems) > 1 else ""
        raise ValueError(f"{source.name} does not fit the config: {problems[0]}{more}")


def _slots(leaves: dict[str, Any]) -> list[matching.Slot]:
    return matching.slots_of(leaves, list(official_names.MODULES), "")


def _optional(path: str, source: Source, config: ModelConfig) -> bool:
    """Whether only one of two stages may have this array."""
    _, module, part = path.split("/", 2)
    before = source.config
    if before is None:
        return False
    if module == "decoder" and "/cross_" in part:
        return "cross_attention" not in before.conditioning or (
            "cross_attention" not in config.conditioning
        )
    # Which blocks the pyramid needs follows from the sizes alone.
    return module == "pyramid" and _ratio(before) != _ratio(config)


def _ratio(config: ModelConfig) -> tuple[int, float]:
    return config.resnet.stem_stride, config.mask_size[0] / config.image_size[0]


def _input_layout(
    channels: int, config: ModelConfig | None
) -> tuple[int, int, int, int]:
    """Channels of the noisy mask, last estimate, features and past masks, in order.

    Source: spec 2.7, 4.1.
    """
    assert config is not None  # only a whole model has a decoder
    estimate = config.num_bits * (config.self_conditioning != "none")
    past = config.num_bits * config.num_cond_frames
    features = channels - config.num_bits - estimate - past
    return config.num_bits, estimate, features, past


def _why_not_widened(
    before: tuple[int, ...],
    after: tuple[int, ...],
    source: Source,
    config: ModelConfig,
) -> str | None:
    """The field because of which the first kernel cannot grow to its new shape."""
    if before[:2] != after[:2]:
        return "model.decoder.in_strides"
    if before[3] != after[3]:
        return "model.decoder.dim"
    old = _input_layout(before[2], source.config)
    new = _input_layout(after[2], config)
    if old[0] != new[0]:
        return "model.bits_per_channel"
    if old[1] > new[1]:
        return "model.self_conditioning"
    if old[2] != new[2]:
        return "model.pyramid.dim, or model.mask_size to the same share of image_size"
    return "model.num_cond_frames" if old[3] > new[3] else None


def _widen(
    array: np.ndarray, shape: tuple[int, ...], source: Source, config: ModelConfig
) -> np.ndarray:
    """Puts the rows in their places; rows without a source are zeros."""
    bits, estimate, _, past = _input_layout(array.shape[2], source.config)
    _, new_estimate, features, _ = _input_layout(shape[2], config)
    start = bits + new_estimate
    # Past masks come oldest first: the newest stay the newest.
    rows = [
        *range(bits + estimate),
        *range(start, start + features),
        *range(shape[2] - past, shape[2]),
    ]
    widened = np.zeros(shape, np.float32)
    widened[:, :, rows] = array
    return widened
