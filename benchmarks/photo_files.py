"""Drawn photos as files, for benchmarks: a COCO panoptic folder and a TFDS dataset."""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from pix2seq_d.data.shapes import LABEL_SPACE, Shapes
from pix2seq_d.panoptic_files import PanopticWriter

__all__ = ["LABEL_SPACE", "SIZE", "write"]

SIZE = (480, 640)  # COCO's usual one


def write(folder: Path, count: int) -> None:
    """The same scenes as a COCO panoptic folder and as a TFDS dataset."""
    source = Shapes("train", size=SIZE, num_examples=count)
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
