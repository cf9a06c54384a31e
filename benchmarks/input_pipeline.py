"""How fast training data arrives, and where the time goes.

  python benchmarks/input_pipeline.py [--sizes=256,1024] [--images=64] [--repeats=15] \
      [--output=input.json]

Writes drawn photos of COCO's usual size (640 x 480 JPEG, id PNG) to a temporary
folder, as a COCO panoptic folder and as a TFDS dataset of the same bytes, and
measures in turn, `repeats` times over, the CPU time for each image (all threads) of

  * every step of our pipeline by itself,
  * the pipeline as training calls it, file to batch, with `data.resize=host`; with
    `data.resize=device`; and what the device then does, done here on the processor,
  * what it cannot avoid: decoding both files, resizing the image and taking the
    labels at mask size, one image after another, with the cheapest op for each that
    gives the same pixels; the same but for resizing, which a device can do; and the
    same with PIL's decoders, which are ours,
  * plain TFDS: read and decode image and map, nothing else,
  * PIL decoding by itself.

The smallest of each counts: on a shared machine the rest is the neighbours'. All in
one process and one run: compare the rows, not two runs.
"""

import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import photo_files
from absl import flags
from equal_ops import Op, by_pil, equal_ops, inputs_of
from photo_files import LABEL_SPACE, SIZE
from speed import command, report

from pix2seq_d.cli import app
from pix2seq_d.data import augment, device_pipeline, pipeline, reading, transforms
from pix2seq_d.data.augment import Augmentation
from pix2seq_d.data.buffers import Buffers
from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.data.source import EncodedExample
from pix2seq_d.evaluation import text_table
from pix2seq_d.image_files import read_rgb
from pix2seq_d.instance_ids import COCO, number
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.panoptic_files import read_png_ids

_BATCH = 8
_BASE = "cannot avoid"
Step = Callable[[], float | None]
Steps = dict[str, Step]


def main(argv: list[str]) -> None:
    """Prints a table for each size."""
    values = app.new_flags()
    flags.DEFINE_list("sizes", ["256", "1024"], "Network sizes.", flag_values=values)
    flags.DEFINE_integer(
        "images", 64, "Images in the dataset.", flag_values=values, lower_bound=_BATCH
    )
    flags.DEFINE_integer(
        "repeats", 15, "Measurements of each.", flag_values=values, lower_bound=1
    )
    flags.DEFINE_string("output", None, "JSON file to write.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    report.check_output(values.output)
    sizes = command.counts(values, "sizes")
    jax.config.update("jax_platforms", "cpu")
    if hasattr(os, "sched_setaffinity"):
        # One core: two threads that share one slow each other's CPU time.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        photo_files.write(Path(folder), values.images)
        for size in sizes:
            found[size] = measure(Path(folder), size, repeats=values.repeats)
            print(table(found[size], size), flush=True)
    report.write(values.output, {"benchmark": "input_pipeline", "cpu_ms": found})


def measure(folder: Path, size: int, *, repeats: int) -> dict[str, float]:
    """CPU milliseconds for an image of every row, the smallest of each."""
    source = CocoPanoptic.from_root(folder, "train")
    examples = [source[i] for i in range(len(source))]
    draws: dict[str, Any] = dict(
        augmentation=Augmentation(),
        image_size=(size, size),
        mask_size=(size // 2, size // 2),
        max_instances=101,
    )
    ops = equal_ops(tuple(augment.scaled_size(SIZE, (size, size), 1.0).tolist()))
    steps: Steps = {}
    for what, of in ops.items():
        inputs = inputs_of(what, examples)
        for name, op in of.items():
            steps[f"{what}, {name}"] = _each(op, inputs)
    rows = _least(steps, len(examples), repeats)
    cheapest = {
        what: of[min(of, key=lambda name, what=what: rows[f"{what}, {name}"])]
        for what, of in ops.items()
    }
    taken = augment.draw(
        augment.stream(0, 0, 0), original=SIZE, id_range=100, **draws
    ).labels

    def unavoidable(example: EncodedExample, *, jpeg: Op, png: Op, resize: Op) -> None:
        resize(jpeg(example.image_file.data))
        rgb = np.asarray(memoryview(png(example.label_file.data)))
        rgb.take(taken.rows, 0, mode="clip").take(taken.cols, 1, mode="clip")

    best = functools.partial(unavoidable, **cheapest)
    steps = our_steps(source, draws) | plain_readers(examples, folder)
    steps |= {
        _BASE: _each(best, examples),
        f"{_BASE}, but for resizing": _each(
            functools.partial(best, resize=lambda _: None), examples
        ),
        f"{_BASE}, by PIL": _each(
            functools.partial(best, jpeg=by_pil, png=by_pil), examples
        ),
        "pipeline": functools.partial(_pipeline_ms, source, draws),
        "pipeline, resize=device": functools.partial(
            _pipeline_ms, source, draws, decoded_size=(640, 640)
        ),
        "of the device, on this core": _device_part(source, draws),
    }
    return rows | _least(steps, len(examples), repeats)


def our_steps(source: CocoPanoptic, draws: dict[str, Any]) -> Steps:
    """What the pipeline does, one step at a time."""
    indices = range(len(source))
    examples = [source[i] for i in indices]
    arrays = [
        reading.read(e, LABEL_SPACE, max_instances=101, rule=COCO) for e in examples
    ]

    def draw(index: int) -> augment.Draw:
        rng = augment.stream(0, 0, index)
        return augment.draw(rng, original=SIZE, id_range=100, **draws)

    drawn = [draw(i) for i in indices]
    images = Buffers((*draws["image_size"], 3), np.float32)
    labels = Buffers((*draws["mask_size"], 2), np.int32)

    def count(example: EncodedExample) -> None:
        fresh = PanopticMap(example.panoptic.ids, example.panoptic.segments)
        number([fresh], LABEL_SPACE, max_instances=101)

    def transform(index: int) -> None:
        image, by = arrays[index].image, drawn[index].image
        transforms.train_image(image, by, out=images.take(), colors=False)

    def masks(index: int) -> None:
        arrays[index].masks(drawn[index].labels, out=labels.take())

    return {
        "read the files": _each(source.__getitem__, indices),
        "decode the JPEG": _each(lambda e: read_rgb(e.image_file), examples),
        "decode the PNG to ids": _each(lambda e: read_png_ids(e.label_file), examples),
        "areas, numbers": _each(count, examples),
        "draw": _each(draw, indices),
        "image into the batch": _each(transform, indices),
        "masks into the batch": _each(masks, indices),
    }


def plain_readers(examples: list[EncodedExample], folder: Path) -> Steps:
    """TFDS and PIL: files to decoded images and maps, nothing else."""
    import tensorflow_datasets as tfds

    builder: Any = tfds.builder_from_directory(next(folder.glob("tfds/*/*")))

    def by_tfds() -> None:
        for _ in builder.as_dataset(split="train").as_numpy_iterator():
            pass

    def both_by_pil(example: EncodedExample) -> None:
        for file in (example.image_file, example.label_file):
            by_pil(file.data)

    return {
        "plain TFDS, decoded": by_tfds,
        "plain PIL, decoded": _each(both_by_pil, examples),
    }


def _each(function: Op, inputs: Iterable[Any]) -> Step:
    def step() -> None:
        for x in inputs:
            function(x)

    return step


def _least(steps: Steps, count: int, repeats: int) -> dict[str, float]:
    """Runs the steps in turn; a step may return its milliseconds itself."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(-1, repeats):  # the first round warms up
        for name, step in steps.items():
            before = time.process_time()
            found = step()
            spent = 1e3 * (time.process_time() - before) / count
            if repeat >= 0:
                times[name].append(spent if found is None else found)
    return {name: min(found) for name, found in times.items()}


class _Counting:
    """Counts what is read, for the pipeline reads ahead."""

    def __init__(self, source: CocoPanoptic) -> None:
        self._source, self.label_space, self.reads = source, source.label_space, 0

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> EncodedExample:
        self.reads += 1
        return self._source[index]


def _device_part(source: CocoPanoptic, draws: dict[str, Any]) -> Step:
    """What is left to the device, one image after another."""
    batches = pipeline.train_batches(
        source, **draws, batch_size=1, seed=0, decoded_size=(640, 640)
    )
    decoded = [next(batches) for _ in range(len(source))]
    batches.close()
    transform = jax.jit(
        functools.partial(
            device_pipeline.transform_batch,
            image_size=draws["image_size"],
            colors=False,
            method="bilinear",
        )
    )
    return _each(lambda batch: jax.block_until_ready(transform(batch)), decoded)


def _pipeline_ms(source: CocoPanoptic, draws: dict[str, Any], **options: Any) -> float:
    counting = _Counting(source)
    batches = pipeline.train_batches(
        counting, **draws, batch_size=_BATCH, seed=0, **options
    )
    for _ in range(6):  # until its memory is there
        next(batches)
    start, cpu = counting.reads, time.process_time()
    for _ in range(len(source) // _BATCH):
        next(batches)
    count = counting.reads - start
    spent = time.process_time() - cpu
    batches.close()
    return 1e3 * spent / count


def table(rows: dict[str, float], size: int) -> str:
    """The rows as text."""
    base = rows[_BASE]
    cells = [
        [name, f"{spent:.2f}", f"{1e3 / max(spent, 1e-9):.0f}", f"{spent / base:.2f}"]
        for name, spent in rows.items()
    ]
    head = ("", "CPU ms an image", "images/s a core", "of what is needed")
    return (
        f"\nnetwork {size} x {size}, masks {size // 2} x {size // 2}, photos 640 x 480,"
        f" one core\n\n{text_table.markdown(head, cells)}"
    )


if __name__ == "__main__":
    sys.exit(app.run(main, "input_pipeline"))
