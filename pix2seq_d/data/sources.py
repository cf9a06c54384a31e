"""From a config to a dataset and its batches."""

import dataclasses
import functools
import importlib.util
from collections.abc import Generator
from pathlib import Path
from typing import cast

import jax
from jax.sharding import Mesh

from pix2seq_d.config import Config, ConfigError, SourceConfig
from pix2seq_d.data.augment import Augmentation
from pix2seq_d.data.clips import Clips
from pix2seq_d.data.reading import Skipping
from pix2seq_d.data.source import Source, VideoSource
from pix2seq_d.labels import LabelSpace
from pix2seq_d.sharding import mesh as meshes


def make_source(
    config: SourceConfig, *, train: bool, size: tuple[int, int], max_missing: int = 0
) -> Source:
    """Opens the training or the evaluation split of the dataset a config names.

    Args:
      config: `data.source`.
      train: which split.
      size: (H, W) at which `shapes` and `shapes_video` draw.
      max_missing: as of `open_source`.
    Raises:
      ConfigError: `root` is not set where it is needed.
      FileNotFoundError, ValueError: the dataset is not as it should be; the
        message names the file.
    """
    split = config.train_split if train else config.eval_split
    if config.name not in ("shapes", "shapes_video", "tfds") and not config.root:
        raise ConfigError(
            f"config field data.source.root='': data.source.name={config.name!r} "
            "needs the folder of the data; pass --config.data.source.root=DIR"
        )
    count = config.train_images if train else config.eval_images
    if config.name == "shapes":
        from pix2seq_d.data.shapes import Shapes

        return Shapes(split, size=size, num_examples=count)
    if config.name == "shapes_video":
        from pix2seq_d.data.shapes_video import NUM_FRAMES, ShapesVideo

        return ShapesVideo(split, size=size, num_videos=-(-count // NUM_FRAMES))
    if config.name == "tfds" and not config.builder:
        raise ConfigError(
            "config field data.source.builder='': data.source.name='tfds' needs the "
            "name of a builder; pass --config.data.source.builder=coco/2017_panoptic"
        )
    return open_source(
        config.name,
        config.root,
        split,
        builder=config.builder,
        max_missing=max_missing,
        has_void=not train,
    )


def open_source(
    name: str,
    root: str,
    split: str,
    *,
    builder: str = "",
    max_missing: int = 0,
    has_void: bool = False,
) -> Source:
    """Opens one split of a dataset on disk.

    Args:
      name: its layout, one of `config.training.SOURCES` but `shapes`
        and `shapes_video`.
      root: its folder.
      split: as the layout names it, e.g. `train` or `val2017`.
      builder: of `tfds`.
      max_missing: how many images, and how many label files, may be missing. Their
        examples fail at access, so that `Skipping` can count them.
      has_void: of DAVIS: whether its label 255 is void, as an evaluation has it, or
        an object, as a training has it.
    Raises:
      FileNotFoundError, ValueError: the dataset is not as it should be; the
        message names the file.
    """
    match name:
        case "coco_panoptic":
            from pix2seq_d.data.coco_panoptic import CocoPanoptic

            return CocoPanoptic.from_root(root, split, max_missing=max_missing)
        case "cityscapes":
            from pix2seq_d.data.cityscapes import Cityscapes

            return Cityscapes.from_root(root, split, max_missing=max_missing)
        case "kitti_step":
            from pix2seq_d.data.kitti_step import KittiStep

            return KittiStep.from_root(root, split, max_missing=max_missing)
        case "davis":
            from pix2seq_d.data.davis import Davis

            return Davis.from_root(
                root, split, max_missing=max_missing, has_void=has_void
            )
        case "vipseg":
            from pix2seq_d.data.vipseg import VipSeg

            return VipSeg.from_root(root, split, max_missing=max_missing)
        case "cityscapes_vps":
            from pix2seq_d.data.cityscapes_vps import CityscapesVps

            return CityscapesVps.from_root(root, split, max_missing=max_missing)
        case "tfds":
            from pix2seq_d.data.tfds_source import open_tfds

            return open_tfds(builder, split, root or None, has_void=has_void)
        case "arrays":
            from pix2seq_d.data.arrays import Arrays

            return Arrays(Path(root) / f"{split}.npz")
    raise ValueError(f"no dataset layout is called {name!r}")


def with_past(source: Source, num_frames: int, *, name: str) -> Source:
    """The clips of a video source, where a model is given past masks.

    Args:
      source: of a training.
      num_frames: `model.num_cond_frames`, F; each clip has the F frames before its
        target, and 0 leaves the source as it is.
      name: `data.source.name`, for the message.
    Raises:
      ConfigError: the source has no videos.
      ValueError: no video is long enough.
    """
    if not num_frames:
        return source
    check_videos(source, num_frames, name=name)
    return Clips(cast(VideoSource, source), tuple(range(-num_frames, 0)))


def check_videos(source: Source, num_frames: int, *, name: str) -> None:
    """Raises ConfigError if a model is given past masks and the source has none."""
    if num_frames and not hasattr(source, "videos"):
        raise ConfigError(
            f"config field model.num_cond_frames={num_frames}: data.source.name="
            f"{name!r} has single images, and past masks need videos; set it to 0 or "
            "take another source"
        )


def with_label_space(config: Config, labels: LabelSpace) -> Config:
    """Sets model.num_classes from the data where it is 0, else checks it.

    Raises:
      ConfigError: it differs from the data's, or the bits cannot hold it.
    """
    model = config.model
    if model.num_classes == 0:
        model = dataclasses.replace(model, num_classes=labels.num_classes)
    elif model.num_classes != labels.num_classes:
        raise ConfigError(
            f"config field model.num_classes={model.num_classes}: the data has "
            f"{labels.num_classes} classes with void; set it to that, or to 0 to take "
            "it from the data"
        )
    return dataclasses.replace(config, model=model)


def check_labels(expected: LabelSpace, found: LabelSpace) -> None:
    """Raises ValueError if an evaluation split has other categories than training."""
    for k, (a, b) in enumerate(zip(expected.to_json(), found.to_json(), strict=False)):
        if (a["id"], a["name"], a["isthing"]) != (b["id"], b["name"], b["isthing"]):
            raise ValueError(
                f"the evaluation split's categories[{k}] is {b['name']!r} (id "
                f"{b['id']}), the training's {a['name']!r} (id {a['id']}); both JSONs "
                "need the same `categories`"
            )
    if expected.num_classes != found.num_classes:
        raise ValueError(
            f"the evaluation split has {found.num_classes - 1} categories, the "
            f"training {expected.num_classes - 1}; both JSONs need the same "
            "`categories`"
        )


def train_batches(
    source: Source,
    config: Config,
    *,
    mesh: Mesh,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Generator[dict[str, jax.Array], None, None]:
    """The training batches from batch `start_step` on, placed on the mesh.

    Every process makes its own share. TensorFlow is imported for `data.loader='tf'`
    only.
    """
    model, data = config.model, config.data
    if data.max_skipped:
        source = Skipping(source, budget=data.max_skipped)
    if data.loader == "memory":
        from pix2seq_d.data import in_memory

        batches = functools.partial(in_memory.train_batches, mesh=mesh)
    else:
        if importlib.util.find_spec("tensorflow") is None:
            raise ConfigError(
                "config field data.loader='tf' needs TensorFlow; install "
                "tensorflow-cpu, or take data.loader='memory' (README, \"Without "
                'TensorFlow")'
            )
        from pix2seq_d.data import device_pipeline, pipeline

        if data.resize == "device":
            batches = functools.partial(
                device_pipeline.train_batches,
                decoded_size=data.decoded_size,
                mesh=mesh,
            )
        else:
            batches = functools.partial(
                pipeline.train_batches,
                place=functools.partial(meshes.put_batch, mesh=mesh),
            )
    return batches(
        source,
        image_size=model.image_size,
        mask_size=model.mask_size,
        max_instances=model.max_instances,
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        start_step=start_step,
        augmentation=Augmentation(
            scale_jitter=data.scale_jitter,
            color_jitter=data.color_jitter,
            flip=data.flip,
            frame_dropout=data.frame_dropout,
        ),
        num_past=model.num_cond_frames,
        rule=data.ids,
        read_timeout_s=data.read_timeout_s,
        process_index=process_index,
        process_count=process_count,
    )
