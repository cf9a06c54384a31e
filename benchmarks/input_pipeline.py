"""How fast training data arrives, and where the time goes.

  python benchmarks/input_pipeline.py [--sizes=256,1024] [--images=64] [--repeats=5]

Writes drawn photos of COCO's usual size (640 x 480 JPEG, id PNG) to a temporary
folder, as a COCO panoptic folder and as a TFDS dataset of the same bytes, and
measures in turn, `repeats` times over, the CPU time for each image (all threads) of

  * every step of our pipeline by itself,
  * the pipeline as training calls it, file to batch,
  * plain TFDS: read and decode image and map, nothing else,
  * PIL decoding by itself.

`cannot avoid` is decoding both files and resizing the image. All in one process and
one run: compare the rows, not two runs.
"""

import functools
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from pix2seq_d.data import augment, pipeline, reading, transforms
from pix2seq_d.data.augment import Augmentation, ImageDraw
from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.data.shapes import LABEL_SPACE, Shapes
from pix2seq_d.data.source import EncodedExample
from pix2seq_d.image_files import open_image, read_rgb
from pix2seq_d.instance_ids import COCO, number
from pix2seq_d.panoptic_files import PanopticWriter, read_png_ids

import tensorflow as tf  # isort: skip - after transforms, which quietens it

_PHOTO = (480, 640)
_BATCH = 8


def main(argv: list[str]) -> None:
    """Prints a table and JSON."""
    values = flags.FlagValues()
    flags.DEFINE_list("sizes", ["256", "1024"], "Network sizes.", flag_values=values)
    flags.DEFINE_integer("images", 64, "Images in the dataset.", flag_values=values)
    flags.DEFINE_integer("repeats", 5, "Measurements of each.", flag_values=values)
    values(argv)
    if hasattr(os, "sched_setaffinity"):
        # One core: two threads that share one slow each other's CPU time.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), values.images)
        for size in map(int, values.sizes):
            rows = measure(Path(folder), size, repeats=values.repeats)
            print(table(rows, size))
            print(json.dumps({"size": size, **rows}))


def write(folder: Path, count: int) -> None:
    """The same scenes as a COCO panoptic folder and as a TFDS dataset."""
    source = Shapes("train", size=_PHOTO, num_examples=count)
    images = folder / "images" / "train"
    images.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with PanopticWriter(folder, LABEL_SPACE, name="panoptic_train") as writer:
        for index in range(count):
            example = source[index]
            # Noise, so that the files are as large as photos'.
            noisy = example.image + rng.normal(0, 8, example.image.shape)
            name = f"{index:06d}.jpg"
            image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
            image.save(images / name, quality=90)
            writer.write(example.panoptic, image_id=index, file_name=name)
            print(f"\rdrawing {index + 1}/{count}", end="", file=sys.stderr)
    print(file=sys.stderr)
    _prepare_tfds(folder)


def _prepare_tfds(folder: Path) -> None:
    import tensorflow_datasets as tfds

    class Panoptic(tfds.core.GeneratorBasedBuilder):
        """The features of coco/2017_panoptic that hold bytes."""

        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> tfds.core.DatasetInfo:
            features = {
                "image": tfds.features.Image(encoding_format="jpeg"),
                "panoptic_image": tfds.features.Image(encoding_format="png"),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, _: object) -> dict[str, Iterable[object]]:
            return {"train": self._generate_examples()}

        def _generate_examples(self) -> Iterable[tuple[str, dict[str, str]]]:
            for path in sorted((folder / "images/train").iterdir()):
                png = folder / "panoptic_train" / f"{path.stem}.png"
                yield path.stem, {"image": str(path), "panoptic_image": str(png)}

    builder = Panoptic(data_dir=folder / "tfds")
    builder.download_and_prepare()


def measure(folder: Path, size: int, *, repeats: int) -> dict[str, float]:
    """CPU milliseconds for an image of every row, medians."""
    import tensorflow_datasets as tfds

    source = CocoPanoptic.from_root(folder, "train")
    indices = range(len(source))
    image_size, mask_size = (size, size), (size // 2, size // 2)
    draws = dict(
        augmentation=Augmentation(),
        image_size=image_size,
        mask_size=mask_size,
        max_instances=101,
    )
    examples = [source[i] for i in indices]
    drawn = [
        augment.draw(augment.stream(0, 0, i), original=_PHOTO, id_range=100, **draws)
        for i in indices
    ]
    images = [tf.constant(e.image) for e in examples]
    arrays = [
        reading.read(e, LABEL_SPACE, max_instances=101, rule=COCO) for e in examples
    ]
    builder = tfds.builder_from_directory(next(folder.glob("tfds/*/*")))
    transform = tf.function(
        functools.partial(transforms.train_image, image_size=image_size, colors=False),
        reduce_retracing=True,
    )
    image_draws = [ImageDraw(*map(tf.constant, d.image)) for d in drawn]

    def decode_pngs() -> None:
        for e in examples:
            np.asarray(open_image(e.label_file))

    def plain_pil() -> None:
        for e in examples:
            for file in (e.image_file, e.label_file):
                np.asarray(Image.open(io.BytesIO(file.data)))

    def plain_tfds() -> None:
        for _ in builder.as_dataset(split="train").as_numpy_iterator():
            pass

    steps: dict[str, Callable[[], object]] = {
        "read the files": lambda: [source[i] for i in indices],
        "decode the JPEG": lambda: [read_rgb(e.image_file) for e in examples],
        "decode the PNG": decode_pngs,
        "PNG to ids, besides": lambda: [read_png_ids(e.label_file) for e in examples],
        "number the segments": lambda: [
            number([e.panoptic], LABEL_SPACE, max_instances=101) for e in examples
        ],
        "draw": lambda: [
            augment.draw(
                augment.stream(0, 1, i), original=_PHOTO, id_range=100, **draws
            )
            for i in indices
        ],
        "masks": lambda: [
            a.masks(d.labels) for a, d in zip(arrays, drawn, strict=True)
        ],
        "resize as TensorFlow": lambda: [
            tf.image.resize(image, d.size, antialias=True)
            for image, d in zip(images, image_draws, strict=True)
        ],
        "resize, flip and pad": lambda: [
            transform(image, d) for image, d in zip(images, image_draws, strict=True)
        ],
        "plain TFDS, decoded": plain_tfds,
        "plain PIL, decoded": plain_pil,
    }
    times: dict[str, list[float]] = {}
    for repeat in range(-1, repeats):  # the first round compiles
        measured = {name: _cpu_ms(step, len(source)) for name, step in steps.items()}
        measured |= _pipeline_ms(source, image_size, mask_size)
        if repeat >= 0:
            for name, spent in measured.items():
                times.setdefault(name, []).append(spent)
    rows = {name: statistics.median(spent) for name, spent in times.items()}
    rows["PNG to ids, besides"] -= rows["decode the PNG"]
    rows["cannot avoid"] = sum(
        rows[name]
        for name in ("decode the JPEG", "decode the PNG", "resize as TensorFlow")
    )
    return rows


def _cpu_ms(step: Callable[[], object], count: int) -> float:
    before = time.process_time()
    step()
    return 1e3 * (time.process_time() - before) / count


class _Counting:
    """Counts what is read, for the pipeline reads ahead."""

    def __init__(self, source: CocoPanoptic) -> None:
        self._source, self.label_space, self.reads = source, source.label_space, 0

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> EncodedExample:
        self.reads += 1
        return self._source[index]


def _pipeline_ms(
    source: CocoPanoptic, image_size: tuple[int, int], mask_size: tuple[int, int]
) -> dict[str, float]:
    counting = _Counting(source)
    batches = pipeline.train_batches(
        counting,
        image_size=image_size,
        mask_size=mask_size,
        max_instances=101,
        batch_size=_BATCH,
        seed=0,
    )
    next(batches)  # traces
    start, cpu = counting.reads, time.process_time()
    for _ in range(3 * len(source) // _BATCH):
        next(batches)
    count = counting.reads - start
    spent = time.process_time() - cpu
    batches.close()
    return {"pipeline": 1e3 * spent / count}


def table(rows: dict[str, float], size: int) -> str:
    """The rows as text."""
    base = rows["cannot avoid"]
    lines = [
        f"\nnetwork {size} x {size}, masks {size // 2} x {size // 2}, photos 640 x 480,"
        " one core",
        f"{'':24s}{'CPU ms':>10s}{'images/s':>10s}{'of what':>12s}",
        f"{'':24s}{'an image':>10s}{'a core':>10s}{'is needed':>12s}",
    ]
    for name, spent in rows.items():
        lines.append(
            f"{name:24s}{spent:10.2f}{1e3 / max(spent, 1e-9):10.0f}{spent / base:12.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv)
