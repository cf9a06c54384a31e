"""One process of a training's data: writes its share of every batch to a file.

python write_batches.py FOLDER DATASET START STOP WORKERS [PROCESS_INDEX COORDINATOR]
"""

import os
import sys
import zipfile
from pathlib import Path

import jax
import numpy as np
from PIL import Image
from tiny_source import LABEL_SPACE, TinySource

from pix2seq_d.data import device_pipeline, in_memory, pipeline
from pix2seq_d.data.augment import Augmentation
from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.panoptic_files import PanopticWriter
from pix2seq_d.sharding import mesh as meshes

LOADERS = ("tf", "device", "memory")


def write_dataset(root):
    """A COCO panoptic dataset of seven images of three sizes: a zip of JPEG, PNGs."""
    (root / "images").mkdir(parents=True)
    with (
        PanopticWriter(root, LABEL_SPACE, name="panoptic_train") as writer,
        zipfile.ZipFile(root / "images/train.zip", "w") as packed,
    ):
        source = TinySource(7, sizes=((16, 24), (40, 20), (36, 32)))
        for example in (source[index] for index in range(len(source))):
            name = f"{example.image_id}.jpg"
            with packed.open(name, "w") as file:
                Image.fromarray(example.image).save(file, "JPEG", quality=95)
            writer.write(example.panoptic, image_id=example.image_id, file_name=name)


def write(
    folder,
    dataset,
    *,
    start,
    stop,
    workers,
    process_index=0,
    process_count=1,
    mesh=None,
):
    """<loader>-<step>-<process>.npy appears when it is complete."""
    options = dict(
        image_size=(16, 24),
        mask_size=(8, 12),
        max_instances=9,
        batch_size=4,
        seed=3,
        start_step=start,
        augmentation=Augmentation((0.7, 2.0), color_jitter=1.0),
        process_index=process_index,
        process_count=process_count,
        num_workers=workers,
    )
    source = CocoPanoptic.from_root(dataset, "train")
    mesh = mesh or meshes.make_mesh(jax.local_devices()[:1])
    made = {
        "tf": pipeline.train_batches(source, **options),
        # One of the three sizes is larger.
        "device": device_pipeline.train_batches(
            source, **options, decoded_size=(36, 32), mesh=mesh
        ),
        "memory": in_memory.train_batches(source, **options, mesh=mesh),
    }
    for step in range(start, stop):
        for loader, batches in made.items():
            batch = next(batches)
            if loader != "tf":
                batch = {key: meshes.local_rows(batch[key]) for key in batch}
            rows = [batch[key].astype(np.float32) for key in ("image", "labels")]
            rows = np.concatenate([x.reshape(len(x), -1) for x in rows], 1)
            path = Path(folder) / f"{loader}-{step:03d}-{process_index}.npy"
            np.save(path.with_suffix(".part.npy"), rows)
            os.replace(path.with_suffix(".part.npy"), path)
    for batches in made.values():
        batches.close()


if __name__ == "__main__":
    folder, dataset, start, stop, workers, *rest = sys.argv[1:]
    more = {}
    if rest:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(rest[1], 2, int(rest[0]))
        more = dict(
            process_index=int(rest[0]), process_count=2, mesh=meshes.make_mesh()
        )
    write(
        folder, dataset, start=int(start), stop=int(stop), workers=int(workers), **more
    )
