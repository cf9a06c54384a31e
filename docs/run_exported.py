"""Runs a file of launch.export: pip install jax numpy flatbuffers pillow.

python run_exported.py model.npz photo.jpg labels.npz
"""

import json
import sys

import jax
import numpy as np
from PIL import Image

model, photo, output = sys.argv[1:]
with np.load(model) as archive:
    metadata = json.loads(archive["metadata"].tobytes())
    program = jax.export.deserialize(bytearray(archive["program"].tobytes()))
    names = sorted(name for name in archive.files if name.startswith("weight/"))
    weights = [archive[name] for name in names]

image = np.asarray(Image.open(photo).convert("RGB"))
sizes = np.array([image.shape[:2]], np.int32)
# Compiled once for each shape: photos of other sizes may be padded to one.
segment = jax.jit(program.call)
found = segment(weights, image[None], sizes, np.uint32(0))
semantic, instance, certainty = (np.asarray(array)[0] for array in found)

names = {c["id"]: c["name"] for c in metadata["categories"]}
names[metadata["void"]] = "void"
pairs, counts = np.unique(
    np.stack([semantic, instance], -1).reshape(-1, 2), axis=0, return_counts=True
)
for (category, number), count in zip(pairs.tolist(), counts.tolist(), strict=True):
    print(f"{names[category]:20}{number:4}{100 * count / semantic.size:8.1f} %")
np.savez_compressed(output, semantic=semantic, instance=instance, certainty=certainty)
