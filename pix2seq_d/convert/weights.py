"""Reads weights of every kind that a training may start from."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from pix2seq_d import assets
from pix2seq_d.config import ModelConfig
from pix2seq_d.convert import matching, tf_checkpoint
from pix2seq_d.convert.report import Source
from pix2seq_d.convert.tf_reader import TFCheckpoint
from pix2seq_d.convert.transfer import INPUT_KERNEL
from pix2seq_d.models import variable_shapes
from pix2seq_d.training import checkpoint, model_file

KINDS = ("official", "detection", "resnet50", "checkpoint")
_WHOLE = ("encoder", "pyramid", "decoder")
_RESNET_SUFFIXES = (
    ".npz",
    ".safetensors",
    *(".pth", ".pt", ".bin", ".h5", ".hdf5", ".keras"),  # refused with their cure
)


def read(
    path: str | os.PathLike[str],
    config: ModelConfig,
    *,
    kind: str | None = None,
    encoder_only: bool = False,
) -> Source:
    """Reads one set of weights, all of it or nothing.

    Args:
      path: a workdir, checkpoint or model in one file of this project, the name of a
        shipped model, an official TensorFlow checkpoint, or a file of an ImageNet
        ResNet.
      config: of the model that is wanted; official and ImageNet weights do not say
        their sizes themselves and have to have those of the config. Official ones
        may be of a model of images where one of videos is wanted, and of masks
        alone where one of images is.
      kind: of `KINDS`; None: seen from the path.
      encoder_only: the image encoder alone is wanted.
    Raises:
      FileNotFoundError, ValueError: no such file, a damaged one, one of another
        kind, or of other sizes; the message names it and the cure.
    """
    kind = recognise(path) if kind is None else kind
    if kind == "official" and encoder_only:
        kind = "detection"
    match kind:
        case "official":
            return _official(path, config)
        case "detection":
            return _detection(path, config)
        case "resnet50":
            return _resnet(path, config)
        case "checkpoint":
            source = _checkpoint(path)
            return _encoder_of(source) if encoder_only else source
    raise ValueError(f"kind={kind!r}: choose one of {KINDS}")


def recognise(path: str | os.PathLike[str]) -> str:
    """The kind of the weights at a path, one of `KINDS`."""
    if model_file.is_model(assets.find(path)):
        return "checkpoint"
    if str(path).lower().endswith(_RESNET_SUFFIXES):
        return "resnet50"
    folder = Path(path)
    if folder.is_dir():
        if checkpoint.is_checkpoint(folder):
            return "checkpoint"
        if not any(folder.glob("*.index")) and not any(folder.glob("*.data-*")):
            raise FileNotFoundError(
                f"{path} holds neither a checkpoint of this project nor one of "
                "TensorFlow (*.index and *.data-*); give another folder"
            )
    if not folder.exists() and not any(folder.parent.glob(f"{folder.name}.*")):
        raise FileNotFoundError(
            f"{path} does not exist; give a workdir, a TensorFlow checkpoint (folder, "
            "or the path without .index), a ResNet's .npz or .safetensors, or a "
            f"shipped model: {', '.join(assets.names())}"
        )
    names = TFCheckpoint(path).shapes
    panoptic = any(name.startswith("model/denoiser/") for name in names)
    return "official" if panoptic else "detection"


def _official(path: Any, config: ModelConfig) -> Source:
    names = TFCheckpoint(path).shapes
    config = _as_trained(names, config)
    notes = [
        "the checkpoint holds no settings: time_scale "
        f"{config.decoder.time_scale:g}, bit_scale {config.bit_scale:g} and "
        f"prediction {config.prediction} are the config's"
    ]
    variables = tf_checkpoint.load(path, config, weights="online")
    if config.conditioning == ("concat",):
        notes.append(
            "it has no cross-attention; if it was trained without images, its encoder "
            "and pyramid are untrained: give a trained encoder too"
        )
    if any("denoiser_ema/" in name for name in names):
        ema = tf_checkpoint.load(path, config, weights="ema")
    else:
        ema = variables
        notes.append("it has no moving average, which starts at the weights")
    return Source(
        f"{path} (official)",
        variables,
        ema,
        parts=tuple(part for part in _WHOLE if part in variables["params"]),
        config=config,
        notes=tuple(notes),
    )


def _as_trained(names: matching.Shapes, config: ModelConfig) -> ModelConfig:
    """`config` with the conditioning and the input that a checkpoint was trained with.

    Conditioning is seen from the variables: without cross-attention it is taken for
    `concat`, whose encoder an unconditional training saves too, at its first values.
    Of the input's channels self-conditioning is left out before past masks, since no
    official recipe has it. Where this does not explain the shape, the config is left
    as it is, for `tf_checkpoint.load` to refuse.
    """
    has_cross = any("/cross_" in name for name in names)
    if not any(name.startswith("model/encoder/") for name in names):
        config = dataclasses.replace(config, conditioning=())
    elif has_cross != ("cross_attention" in config.conditioning):
        conditioning = ("concat", "cross_attention") if has_cross else ("concat",)
        config = dataclasses.replace(config, conditioning=conditioning)
    abstract = variable_shapes(config)
    slots = matching.slots_of(abstract, ["decoder"], "")
    kernel = next(slot for slot in slots if slot.target == INPUT_KERNEL)
    shape = names.get(kernel.source)
    if shape is None or len(shape) != 4:
        return config
    absent, rest = divmod(kernel.shape[2] - shape[2], config.num_bits)
    if absent <= 0 or rest:
        return config
    trained = config
    if config.self_conditioning != "none":
        trained, absent = (
            dataclasses.replace(config, self_conditioning="none"),
            absent - 1,
        )
    if absent > config.num_cond_frames:
        return config
    return dataclasses.replace(trained, num_cond_frames=config.num_cond_frames - absent)


def _detection(path: Any, config: ModelConfig) -> Source:
    if not config.conditioning:
        raise ValueError(
            f"{path}: the model has no image encoder to read into; set "
            "model.conditioning to ('concat', 'cross_attention')"
        )
    whole = variable_shapes(config)
    encoder = {kind: {"encoder": tree["encoder"]} for kind, tree in whole.items()}
    variables = tf_checkpoint.load_encoder(path, encoder)
    found = tf_checkpoint.encoder_report(path, encoder)
    note = (
        f"{len(found.used)} variables of its image encoder read, {len(found.ignored)} "
        f"others ignored{_beginnings(found.ignored)}, none missing"
    )
    return Source(
        f"{path} (image encoder)", variables, variables, ("encoder",), notes=(note,)
    )


def _beginnings(names: tuple[str, ...]) -> str:
    """` (model/decoder, optimizer)` of the ignored variables."""
    first = sorted({"/".join(name.split("/")[:2]) for name in names})
    shown = ", ".join(first[:6]) + (", ..." if len(first) > 6 else "")
    return f" ({shown})" if first else ""


def _resnet(path: Any, config: ModelConfig) -> Source:
    from pix2seq_d.convert import imagenet_resnet

    loaded = imagenet_resnet.load(path, config)
    return Source(
        f"{path} (ResNet)",
        loaded.variables,
        loaded.variables,
        ("encoder/resnet",),
        notes=loaded.notes,
    )


def _checkpoint(path: Any) -> Source:
    ema = checkpoint.load(path)
    in_file = ema.workdir.is_file()
    online = ema
    if not in_file:
        online = checkpoint.load(path, step=ema.step, weights="online")
    note = "it holds the moving average alone, at which the weights start, too"
    return Source(
        f"{path} (step {ema.step})",
        online.variables,
        ema.variables,
        parts=tuple(part for part in _WHOLE if part in ema.variables["params"]),
        config=ema.config.model,
        labels=ema.labels,
        notes=(note,) if in_file else (),
    )


def _encoder_of(source: Source) -> Source:
    if "encoder" not in source.parts:
        raise ValueError(
            f"{source.name} is of an unconditional model: no image encoder"
        )

    def encoder(variables: Any) -> Any:
        return {kind: {"encoder": tree["encoder"]} for kind, tree in variables.items()}

    return Source(
        f"{source.name}, image encoder",
        encoder(source.variables),
        encoder(source.ema),
        ("encoder",),
    )
