"""The configuration: frozen dataclasses, their checks, and ml-collections in and out.

Config files start from `default()`, a locked ConfigDict with every field below;
library code only ever sees the dataclasses, which are hashable and so can be
static arguments of jitted functions. Source tags are those of the spec.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

import ml_collections

RESNET_BLOCKS = {14: (1, 1, 1), 26: (2, 2, 2), 50: (3, 4, 6), 101: (3, 4, 23)}
PREDICTIONS = ("x_softmax_xent", "x_sigmoid_xent", "x", "eps")
CONDITIONING = ("concat", "cross_attention")
SOURCES = ("shapes", "coco_panoptic", "arrays")
LOADERS = ("memory", "tf")
DTYPES = ("float32", "bfloat16")


class ConfigError(ValueError):
    """A config field is wrong; the message names it and the cure in one line."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(f"config field {message}")


@dataclasses.dataclass(frozen=True)
class ResNetConfig:
    """Backbone (spec 4.2)."""

    depth: int = 50  # 14, 26, 50 or 101: named by layers as published ResNets are
    width: float = 1.0  # factor on all channel counts
    variant: str = "c4"  # three groups of blocks; the only one the paper uses
    stem_stride: int = (
        4  # 4: 7x7 stride 2 and max-pool; 2: no max-pool (ours, small images)
    )

    @property
    def blocks(self) -> tuple[int, ...]:
        """Bottlenecks of each group."""
        return RESNET_BLOCKS[self.depth]


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """Transformer over the C4 tokens (spec 4.3)."""

    num_layers: int = 12  # settled by the parameter count, spec 4.3
    dim: int = 512  # token width
    mlp_dim: int = 2048  # hidden width of the feed-forward
    num_heads: int = 16  # heads of dim / num_heads
    dropout: float = 0.1  # at the input and in the feed-forward
    drop_path: float = 0.1  # the same in every layer


@dataclasses.dataclass(frozen=True)
class PyramidConfig:
    """Feature merge (spec 4.4)."""

    dim: int = 256  # output width where the last block makes it


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """TransUNet (spec 4.6)."""

    dim: int = 128  # width of the first level and of the time code
    channel_multipliers: tuple[int, ...] = (1, 1, 2, 2)  # width of level i / dim
    num_res_blocks: tuple[int, ...] = (1, 1, 1, 1)  # residual blocks of level i, down
    in_strides: int = 1  # side of the patches the mask is cut into
    transformer_dim: int = 512  # width of the middle transformer
    transformer_layers: int = 6  # its layers
    head_dim: int = 64  # width of its heads
    mlp_ratio: int = 4  # hidden width / transformer_dim
    dropout: float = 0.0  # in residual blocks and feed-forwards (udrop)
    time_scale: float = 1000.0  # gamma times this enters the time code (spec 12)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network and the representation of the mask (spec 1, 2.3, 4)."""

    image_size: tuple[int, int] = (256, 256)  # (H, W) px the encoder sees
    mask_size: tuple[int, int] = (128, 128)  # (h, w) px of the generated mask
    num_cond_frames: int = 0  # past masks given as input
    num_classes: int = 134  # semantic ids with void; 0: taken from the data
    max_instances: int = 101  # instance ids with 0
    bits_per_channel: int = 8  # bits of the semantic and of the instance id
    bit_scale: float = 0.1  # analog value of a set bit, the paper's b
    softmax_groups: int = 2  # groups of bits with a softmax each
    prediction: str = "x_softmax_xent"  # what the decoder predicts, and the loss
    conditioning: tuple[str, ...] = CONDITIONING  # any subset; () = unconditional
    resnet: ResNetConfig = ResNetConfig()
    encoder: EncoderConfig = EncoderConfig()
    pyramid: PyramidConfig = PyramidConfig()
    decoder: DecoderConfig = DecoderConfig()

    @property
    def num_bits(self) -> int:
        """Channels of the analog mask: semantic and instance bits."""
        return 2 * self.bits_per_channel

    @property
    def num_codes(self) -> int:
        """Codes of one softmax group."""
        return 2 ** (self.num_bits // self.softmax_groups)

    def __post_init__(self) -> None:
        r, e, d = self.resnet, self.encoder, self.decoder
        _require(
            r.depth in RESNET_BLOCKS,
            f"model.resnet.depth={r.depth!r}: choose one of {sorted(RESNET_BLOCKS)}",
        )
        _require(r.variant == "c4", f"model.resnet.variant={r.variant!r}: choose 'c4'")
        _require(
            r.stem_stride in (2, 4),
            f"model.resnet.stem_stride={r.stem_stride!r}: choose 2 or 4",
        )
        _require(
            e.dim % e.num_heads == 0,
            f"model.encoder.num_heads={e.num_heads!r}: it must divide "
            f"model.encoder.dim={e.dim}",
        )
        _require(e.dim % 4 == 0, f"model.encoder.dim={e.dim!r}: take a multiple of 4")
        _require(
            d.transformer_dim % 4 == 0 and d.transformer_dim % d.head_dim == 0,
            f"model.decoder.head_dim={d.head_dim!r}: it must divide "
            f"model.decoder.transformer_dim={d.transformer_dim}",
        )
        _require(
            len(d.channel_multipliers) == len(d.num_res_blocks),
            f"model.decoder.num_res_blocks={d.num_res_blocks!r}: one number "
            "per entry of model.decoder.channel_multipliers",
        )
        _require(
            self.prediction in PREDICTIONS,
            f"model.prediction={self.prediction!r}: choose one of {PREDICTIONS}",
        )
        _require(
            set(self.conditioning) <= set(CONDITIONING),
            f"model.conditioning={self.conditioning!r}: choose any of {CONDITIONING}",
        )
        _require(
            self.softmax_groups >= 1 and self.num_bits % self.softmax_groups == 0,
            f"model.softmax_groups={self.softmax_groups!r}: it must divide "
            f"the {self.num_bits} bits",
        )
        _require(
            self.num_classes <= 2**self.bits_per_channel,
            f"model.num_classes={self.num_classes!r}: "
            f"{self.bits_per_channel} bits hold {2**self.bits_per_channel} "
            "classes; raise model.bits_per_channel",
        )
        _require(
            2 <= self.max_instances <= 2**self.bits_per_channel,
            f"model.max_instances={self.max_instances!r}: take 2 to {2**self.bits_per_channel} "
            "(2**model.bits_per_channel ids, 0 included)",
        )
        _require(self.bit_scale > 0, f"model.bit_scale={self.bit_scale!r}: take it > 0")
        stride = 4 * r.stem_stride
        _require(
            all(s > 0 and s % stride == 0 for s in self.image_size),
            f"model.image_size={self.image_size!r}: both sides must be "
            f"multiples of {stride}, the encoder's stride",
        )
        step = d.in_strides * 2 ** (len(d.channel_multipliers) - 1)
        _require(
            all(s > 0 and s % step == 0 for s in self.mask_size),
            f"model.mask_size={self.mask_size!r}: both sides must be "
            f"multiples of {step}, the decoder's stride",
        )


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """A noise schedule, the arguments of `diffusion.schedule.make` (spec 2.2)."""

    name: str = "cosine"  # cosine, sigmoid or linear
    start: float | None = None  # None: the schedule's default
    end: float | None = None
    tau: float = 1.0


@dataclasses.dataclass(frozen=True)
class DiffusionConfig:
    """Training noise and sampler (spec 2, 3)."""

    train_schedule: ScheduleConfig = ScheduleConfig()
    sample_schedule: ScheduleConfig = ScheduleConfig()
    loss_weight_power: float = 0.2  # p of the instance weights (spec 2.6)
    noise_draws: int = 1  # noise draws per encoded image (spec 2.6)
    num_steps: int = 20  # sampler steps
    time_difference: float = 2.0  # td of the sampler (spec 3.2)
    sampler: str = "ddim"  # ddim, ddpm or ddpm_small

    def __post_init__(self) -> None:
        _require(
            self.num_steps >= 1, f"diffusion.num_steps={self.num_steps!r}: take >= 1"
        )
        _require(
            self.time_difference >= 0,
            f"diffusion.time_difference={self.time_difference!r}: take >= 0",
        )
        _require(
            self.noise_draws >= 1,
            f"diffusion.noise_draws={self.noise_draws!r}: take >= 1",
        )


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with linear warm-up and decay (spec 5.1)."""

    peak_lr: float = 1e-4  # learning rate after the warm-up
    end_lr_factor: float = 0.1  # last learning rate / peak_lr
    warmup_steps: int = 0  # steps from 0 to peak_lr
    weight_decay: float = 0.05  # on kernels only
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    clip_norm: float = 1.0  # global gradient norm
    ema_decay: float = 0.999  # of weights and batch-norm statistics


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Length, batch and bookkeeping of a training."""

    batch_size: int = 16  # images per step, over all devices
    num_steps: int = 1000  # optimizer steps
    dtype: str = "float32"  # compute dtype; parameters are float32
    seed: int = 0  # of weights, data order, augmentation and noise
    checkpoint_every: int = 500  # steps
    keep: int = 3  # checkpoints kept
    log_every: int = 50  # steps between metric lines
    eval_every: int = 0  # steps; 0: evaluate at the end only
    eval_images: int = 0  # images of an evaluation while training; 0: all
    tensorboard: bool = True  # write event files where TensorFlow is installed

    def __post_init__(self) -> None:
        _require(
            self.dtype in DTYPES, f"train.dtype={self.dtype!r}: choose one of {DTYPES}"
        )
        for field in (
            "batch_size",
            "num_steps",
            "checkpoint_every",
            "keep",
            "log_every",
        ):
            value = getattr(self, field)
            _require(value >= 1, f"train.{field}={value!r}: take >= 1")


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Sampling and post-processing of an evaluation (spec 6.1)."""

    batch_size: int = 16  # images per call, over all devices
    min_area: int = 40  # px at original size; smaller segments become void
    merge_stuff: bool = True  # one segment per stuff class (spec 6.1, last line)
    seed: int = 0  # of the sampler's noise


@dataclasses.dataclass(frozen=True)
class SourceConfig:
    """Where the images come from."""

    name: str = "shapes"  # shapes, coco_panoptic or arrays
    root: str = ""  # folder of a COCO-panoptic data set, or an npz file's folder
    train_split: str = "train"
    eval_split: str = "val"
    train_images: int = 8192  # shapes only: scenes in the training split
    eval_images: int = 256  # shapes only: scenes in the validation split


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Input pipeline (spec 5.3)."""

    source: SourceConfig = SourceConfig()
    loader: str = (
        "tf"  # tf: any source; memory: examples of network size, no TensorFlow
    )
    scale_jitter: tuple[float, float] = (1.0, 1.0)  # range of the random scale (tf)
    color_jitter: float = 0.0  # strength (tf)
    flip: float = 0.5  # probability of a horizontal flip
    stuff_ids: bool = True  # stuff has instance ids (COCO); False: id 0 (KITTI-STEP)

    def __post_init__(self) -> None:
        _require(
            self.source.name in SOURCES,
            f"data.source.name={self.source.name!r}: choose one of {SOURCES}",
        )
        _require(
            self.loader in LOADERS,
            f"data.loader={self.loader!r}: choose one of {LOADERS}",
        )
        low, high = self.scale_jitter
        _require(
            0 < low <= high,
            f"data.scale_jitter={self.scale_jitter!r}: take (low, high) with "
            "0 < low <= high",
        )
        memory = self.loader == "memory"
        _require(
            not memory or self.scale_jitter == (1.0, 1.0),
            f"data.scale_jitter={self.scale_jitter!r}: data.loader='memory' "
            "has none; use 'tf'",
        )
        _require(
            not memory or self.color_jitter == 0,
            f"data.color_jitter={self.color_jitter!r}: data.loader='memory' "
            "has none; use 'tf'",
        )


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything a training is made from."""

    model: ModelConfig = ModelConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    data: DataConfig = DataConfig()


def default() -> ml_collections.ConfigDict:
    """A ConfigDict with every field at its default, for config files to change."""
    return to_config_dict(Config())


def to_config_dict(config: Config) -> ml_collections.ConfigDict:
    """Dataclasses -> locked ConfigDict; `from_config_dict` is the inverse."""
    made = ml_collections.ConfigDict(dataclasses.asdict(config)).lock()
    # None is a value of these fields: give them the type of the other one.
    for name in ("train_schedule", "sample_schedule"):
        schedule = made.diffusion[name]
        for field in ("start", "end"):
            placeholder = ml_collections.config_dict.placeholder(float)
            value = schedule[field]
            schedule[field] = placeholder
            schedule[field] = value
    return made


def from_config_dict(config: Mapping[str, Any]) -> Config:
    """ConfigDict (or nested dict, or JSON) -> checked dataclasses.

    Raises:
      ConfigError: unknown or missing field, wrong type, or a value that a
        check refuses; the message names the field.
    """
    return _build(Config, config, "")


def flatten(config: Config) -> dict[str, Any]:
    """{'model.decoder.dim': 128, ...} for comparison and display."""
    flat: dict[str, Any] = {}

    def visit(value: Any, path: str) -> None:
        if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                visit(getattr(value, field.name), f"{path}.{field.name}".lstrip("."))
        else:
            flat[path] = value

    visit(config, "")
    return flat


def _build(cls: type, values: Mapping[str, Any], path: str) -> Any:
    if not isinstance(values, Mapping | ml_collections.ConfigDict):
        raise ConfigError(
            f"config field {path} must be a group of fields, not {values!r}"
        )
    hints = typing.get_type_hints(cls)
    for name in values:
        if name not in hints:
            raise ConfigError(
                f"unknown config field {f'{path}.{name}'.lstrip('.')!r}; "
                f"{path or 'the config'} has {', '.join(hints)}"
            )
    made = {}
    for name, hint in hints.items():
        if name in values:
            where = f"{path}.{name}".lstrip(".")
            made[name] = _convert(hint, values[name], where)
    return cls(**made)


def _convert(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), value, path)
    origin = typing.get_origin(hint)
    if origin is types.UnionType:  # float | None
        if value is None:
            return None
        hint = typing.get_args(hint)[0]
    if origin is tuple:
        args = typing.get_args(hint)
        if not isinstance(value, list | tuple) or (
            args[-1] is not Ellipsis and len(value) != len(args)
        ):
            raise ConfigError(
                f"config field {path} must be {_name(hint)}, not {value!r}"
            )
        inner = args[0]
        return tuple(_convert(inner, item, path) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"config field {path} must be {_name(hint)}, not {value!r}")
    if hint is float and not math.isfinite(value):
        raise ConfigError(f"config field {path} must be finite, not {value!r}")
    return value


def _name(hint: Any) -> str:
    return str(hint) if typing.get_origin(hint) else hint.__name__
