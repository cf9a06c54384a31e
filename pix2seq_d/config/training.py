"""Config of diffusion, optimizer, training, evaluation and data (spec 2, 3, 5)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pix2seq_d.config.errors import (
    ConfigError,
    require,
    require_range,
    require_seed,
)
from pix2seq_d.config.model import ModelConfig
from pix2seq_d.diffusion import schedule as schedules
from pix2seq_d.diffusion.sampler import METHODS
from pix2seq_d.instance_ids import COCO, IdRule

INF = float("inf")
SOURCES = (
    *("shapes", "coco_panoptic", "cityscapes", "kitti_step", "davis", "vipseg"),
    *("cityscapes_vps", "tfds", "arrays", "shapes_video"),
)
LOADERS = ("memory", "tf")
INSTANCES = ("ids", "regions")
RESIZES = ("host", "device")
DTYPES = ("float32", "bfloat16")
OPTIMIZERS = ("adamw", "lamb")
REMAT = ("none", "dots", "blocks")
NONFINITE = ("stop", "skip")


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """A noise schedule, the arguments of `diffusion.schedule.make` (spec 2.2)."""

    name: str = "cosine"  # cosine, sigmoid or linear
    start: float | None = None  # None: the schedule's default
    end: float | None = None
    tau: float = 1.0

    def make(self) -> schedules.Schedule:
        """The gamma(t) that the fields name."""
        return schedules.make(**dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class DiffusionConfig:
    """Training noise and sampler (spec 2, 3)."""

    train_schedule: ScheduleConfig = ScheduleConfig()
    sample_schedule: ScheduleConfig = ScheduleConfig()
    loss_weight_power: float = 0.2  # p of the instance weights (spec 2.6)
    noise_draws: int = 1  # noise draws per encoded image (spec 2.6)
    num_steps: int = 20  # sampler steps; of a video: for its first frame
    num_steps_next: int = 8  # of a video: for every later frame (spec 6.2)
    # Ours, for videos. Sampling of a frame ends once fewer than this share of its
    # pixels change in a step; 0: never before its last step.
    stop_changed: float = 0.0
    # A later frame takes num_steps where its first estimate differs from the mask
    # before in at least this share of its pixels, as after a cut; 0: never.
    new_share: float = 0.0
    time_difference: float = 2.0  # td of the sampler (spec 3.2)
    # Ours: no sampler time is above it, so that the first noise is taken for that of
    # this time; 1, the paper's, is what it is. Less may tell instances apart
    # earlier, or do harm: docs/results/few_steps.md.
    start_time: float = 1.0
    sampler: str = "ddim"  # ddim, ddpm, ddpm_small or dpmpp_2m; videos: ddim

    def __post_init__(self) -> None:
        for name in ("train_schedule", "sample_schedule"):
            schedule = getattr(self, name)
            require(
                schedule.name in schedules.NAMES,
                f"diffusion.{name}.name={schedule.name!r}: "
                f"choose one of {schedules.NAMES}",
            )
            require(
                schedule.tau > 0, f"diffusion.{name}.tau={schedule.tau!r}: take it > 0"
            )
            try:
                schedule.make()
            except ValueError as error:
                raise ConfigError(f"diffusion.{name}: {error}") from error
        require(
            self.sampler in METHODS,
            f"diffusion.sampler={self.sampler!r}: choose one of {METHODS}",
        )
        require_range("diffusion", self, 1, INF, "num_steps", "noise_draws")
        require_range("diffusion", self, 1, INF, "num_steps_next")
        require_range("diffusion", self, 0, 1, "stop_changed", "new_share")
        require_range("diffusion", self, 0, INF, "time_difference", "loss_weight_power")
        require_range("diffusion", self, 0, 1, "start_time", open_low=True)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with linear warm-up and decay (spec 5.1)."""

    name: str = "adamw"  # adamw, the paper's, or lamb, for very large batches
    peak_lr: float = 1e-4  # learning rate after the warm-up
    end_lr_factor: float = 0.1  # last learning rate / peak_lr
    warmup_steps: int = 0  # steps from 0 to peak_lr
    warmup_epochs: float = 0.0  # the same in epochs; one of the two is 0
    weight_decay: float = 0.05  # on kernels only
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    clip_norm: float = 1.0  # global gradient norm, after averaging
    ema_decay: float = 0.999  # of weights and batch-norm statistics
    # Ours: the decay of step k is at most (1 + k) / (10 + k), for short trainings.
    ema_warmup: bool = False
    # Ours, for a pre-trained encoder: its learning rate is peak_lr times the first,
    # and times the second once more for every layer below its last.
    encoder_lr_factor: float = 1.0
    encoder_layer_decay: float = 1.0

    def __post_init__(self) -> None:
        require(
            self.name in OPTIMIZERS,
            f"optimizer.name={self.name!r}: choose one of {OPTIMIZERS}",
        )
        require(
            not (self.warmup_steps and self.warmup_epochs),
            f"optimizer.warmup_epochs={self.warmup_epochs!r}: "
            f"optimizer.warmup_steps={self.warmup_steps} says the same; set one to 0",
        )
        require_range("optimizer", self, 0, INF, "peak_lr", "weight_decay")
        require_range("optimizer", self, 0, INF, "warmup_steps", "end_lr_factor")
        require_range("optimizer", self, 0, INF, "warmup_epochs", "encoder_lr_factor")
        require_range("optimizer", self, 0, 1, "encoder_layer_decay", open_low=True)
        require_range("optimizer", self, 0, INF, "clip_norm", "eps", open_low=True)
        require_range("optimizer", self, 0, 1, "ema_decay")
        require_range("optimizer", self, 0, 0.999999, "b1", "b2")


@dataclasses.dataclass(frozen=True)
class InitConfig:
    """Weights that a training starts from (spec 5.4); read at step 0 only."""

    # A workdir of this project, an official TensorFlow checkpoint, or an ImageNet
    # ResNet (.npz, .safetensors); empty: fresh weights. `from` on the command line.
    from_: str = ""
    encoder: str = ""  # the same kinds, for the image encoder only; goes before `from`


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Length, batch and bookkeeping of a training."""

    batch_size: int = 16  # images per step, over all devices
    num_steps: int = 1000  # optimizer steps
    num_epochs: float = 0.0  # above 0: num_steps = floor(images epochs / batch) + 1
    grad_accumulation: int = 1  # parts that a batch is taken in, to save memory
    remat: str = "none"  # what the backward pass computes again (models/remat.py)
    # Ours, for fine-tuning with few images a device: batch-norm keeps its statistics.
    freeze_batch_norm: bool = False
    dtype: str = "float32"  # compute dtype; parameters are float32
    seed: int = 0  # of weights, data order, augmentation and noise
    checkpoint_every: int = 500  # steps
    keep: int = 3  # latest checkpoints kept
    keep_best: int = 0  # beside them, those of the best eval/pq, of videos eval/stq
    on_nonfinite: str = "stop"  # a loss or gradient that is no number: stop, or skip
    max_nonfinite: int = 10  # steps that `skip` may leave out, since the start
    log_every: int = 50  # steps between metric lines
    eval_every: int = 0  # steps; 0: evaluate at the end only
    eval_at_start: bool = False  # evaluate the untrained model too
    eval_images: int = 0  # images of an evaluation while training; 0: all
    tensorboard: bool = True  # write event files where TensorFlow is installed
    wandb: bool = False  # log to Weights & Biases, too

    def __post_init__(self) -> None:
        require(
            self.dtype in DTYPES, f"train.dtype={self.dtype!r}: choose one of {DTYPES}"
        )
        require_range("train", self, 1, INF, "batch_size", "num_steps", "keep")
        require(
            self.remat in REMAT, f"train.remat={self.remat!r}: choose one of {REMAT}"
        )
        require(
            self.on_nonfinite in NONFINITE,
            f"train.on_nonfinite={self.on_nonfinite!r}: choose one of {NONFINITE}",
        )
        require(
            self.grad_accumulation >= 1
            and self.batch_size % self.grad_accumulation == 0,
            f"train.grad_accumulation={self.grad_accumulation!r}: it must divide "
            f"train.batch_size={self.batch_size}",
        )
        require_range("train", self, 0, INF, "num_epochs", "keep_best", "max_nonfinite")
        require_range("train", self, 1, INF, "checkpoint_every", "log_every")
        require_range("train", self, 0, INF, "eval_every", "eval_images")
        require_seed("train", self.seed)


@dataclasses.dataclass(frozen=True)
class ShardingConfig:
    """How the devices divide the work: data * fsdp of them (sharding/)."""

    data: int = -1  # groups of devices with a copy of the state each; -1: all others
    fsdp: int = 1  # devices that share one copy of parameters, EMA and moments

    def __post_init__(self) -> None:
        require(
            self.data == -1 or self.data >= 1,
            f"sharding.data={self.data!r}: take -1 (all other devices) or >= 1",
        )
        require_range("sharding", self, 1, INF, "fsdp")


@dataclasses.dataclass(frozen=True)
class PastNoiseConfig:
    """Errors that past masks get in training, each past frame by itself (ours)."""

    drop: float = 0.0  # probability that an instance becomes void
    merge: float = 0.0  # that it gets id and class of another one in the frame
    shift: int = 0  # px of the mask that a frame is moved by at most, on either axis

    def __post_init__(self) -> None:
        require_range("data.past_noise", self, 0, 1, "drop", "merge")
        require_range("data.past_noise", self, 0, INF, "shift")


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Sampling and post-processing of an evaluation (spec 6.1)."""

    # Images per call, over all devices; rounded up to a multiple of their number.
    batch_size: int = 16
    min_area: int = 40  # px at original size; smaller segments become void
    merge_stuff: bool = True  # one segment per stuff class (spec 6.1, last line)
    # Ours: an id of which several classes have a segment (`postprocess.least_own`) is
    # one object of each. The paper's vote gives all its pixels to the largest. Without
    # classes of no effect.
    split_ids: bool = False
    # Ours, of images: ids, a thing is what has an id; regions, a connected region of a
    # class, whatever its ids.
    instances: str = "ids"
    # Ours: score videos as `predict` shows them, after vote and smallest area. The
    # paper's are scored as they are decoded (spec 6.2).
    video_as_shown: bool = False
    # Of videos: score the first so many frames of each, as the reference does with
    # 100 of KITTI-STEP (spec 5.3), which compares with no published score; 0: all.
    max_frames: int = 0
    seed: int = 0  # of the sampler's noise

    def __post_init__(self) -> None:
        require_range("evaluation", self, 1, INF, "batch_size")
        require_range("evaluation", self, 0, INF, "min_area", "max_frames")
        require(
            self.instances in INSTANCES,
            f"evaluation.instances={self.instances!r}: choose one of {INSTANCES}",
        )
        require_seed("evaluation", self.seed)


@dataclasses.dataclass(frozen=True)
class SourceConfig:
    """Where the images come from."""

    name: str = "shapes"  # layout of the data, one of SOURCES (docs/data.md)
    root: str = ""  # folder of the data; tfds: its data_dir, empty: TFDS's own
    builder: str = ""  # tfds only: name of the builder, e.g. coco/2017_panoptic
    train_split: str = "train"
    eval_split: str = "val"
    # shapes, shapes_video only: scenes, or frames of whole videos, in the splits.
    train_images: int = 8192
    eval_images: int = 256


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Input pipeline (spec 5.3)."""

    source: SourceConfig = SourceConfig()
    # tf: reads every epoch; memory: reads once, keeps all on the devices, needs no
    # TensorFlow.
    loader: str = "tf"
    # Where `tf` resizes, flips and colours: host, the processor; device, which gets
    # images up to decoded_size (H, W) as they are decoded. Larger ones, the host.
    resize: str = "host"
    decoded_size: tuple[int, int] = (640, 640)  # COCO's largest
    # Broken or missing training images to go on without; 0: stop at the first. Each
    # process counts those that it reads, anew after every start.
    max_skipped: int = 0
    read_timeout_s: float = 600.0  # seconds an example may take until training stops
    scale_jitter: tuple[float, float] = (1.0, 1.0)  # range of the random scale
    color_jitter: float = 0.0  # strength
    flip: float = 0.5  # probability of a horizontal flip
    frame_dropout: float = 0.2  # that a clip's past frame is hidden (spec 5.2)
    past_noise: PastNoiseConfig = PastNoiseConfig()
    ids: IdRule = COCO  # which segments have instance ids, and how they are drawn

    def __post_init__(self) -> None:
        require(
            self.source.name in SOURCES,
            f"data.source.name={self.source.name!r}: choose one of {SOURCES}",
        )
        require(
            self.loader in LOADERS,
            f"data.loader={self.loader!r}: choose one of {LOADERS}",
        )
        require(
            self.resize in RESIZES,
            f"data.resize={self.resize!r}: choose one of {RESIZES}",
        )
        require(
            min(self.decoded_size) >= 1,
            f"data.decoded_size={self.decoded_size!r}: take (height, width) >= 1",
        )
        require_range("data", self, 0, 1, "flip", "color_jitter", "frame_dropout")
        require_range("data", self, 0, INF, "max_skipped")
        require_range("data", self, 0, 1e9, "read_timeout_s", open_low=True)
        low, high = self.scale_jitter
        require(
            0 < low <= high,
            f"data.scale_jitter={self.scale_jitter!r}: take (low, high) with "
            "0 < low <= high",
        )


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything a training is made from."""

    model: ModelConfig = ModelConfig()  # noqa: RUF009 - frozen, so safe to share
    diffusion: DiffusionConfig = DiffusionConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    init: InitConfig = InitConfig()
    train: TrainConfig = TrainConfig()
    sharding: ShardingConfig = ShardingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    data: DataConfig = DataConfig()

    def __post_init__(self) -> None:
        if self.evaluation.instances == "regions":
            require(
                not self.model.num_cond_frames and self.data.ids.classes,
                "evaluation.instances='regions': a model of videos or without classes "
                "tells things apart by ids alone; take 'ids'",
            )

    def replaced(self, **groups: Mapping[str, Any]) -> "Config":
        """A copy with other fields, e.g. diffusion={"num_steps": 5}; None keeps one.

        Raises:
          ConfigError: a value is out of range.
          TypeError: a group has no such field.
        """
        changed = {}
        for name, fields in groups.items():
            given = {key: value for key, value in fields.items() if value is not None}
            changed[name] = dataclasses.replace(getattr(self, name), **given)
        return dataclasses.replace(self, **changed)
