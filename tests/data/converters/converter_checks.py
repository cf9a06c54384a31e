"""What the tests of the converters share: comparing maps, reading outputs."""

import json

import numpy as np
import pytest
from PIL import Image

from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.data.shapes import Shapes


def refused(error, message, action, *arguments, **keywords):
    """Asserts that the action fails with one line that matches `message`."""
    with pytest.raises(error, match=message) as info:
        action(*arguments, **keywords)
    text = str(info.value)
    assert "\n" not in text
    assert ";" in text or ":" in text


def scenes(count=3, size=(48, 64)):
    source = Shapes("train", size=size, num_examples=count)
    return [source[k] for k in range(count)]


def described(panoptic):
    """(category, crowd, its mask) of every segment, in an order of its own."""
    return sorted(
        (s.category_id, s.is_crowd, (panoptic.ids == s.id).tobytes())
        for s in panoptic.segments
        if (panoptic.ids == s.id).any()
    )


def assert_same_maps(a, b):
    assert a.ids.shape == b.ids.shape
    assert described(a) == described(b)


def load(report, split="train"):
    """The output's examples; checks that the report counts them."""
    source = CocoPanoptic.from_root(report.json_path.parent, split)
    examples = list(source)
    assert report.images == len(examples)
    assert report.segments == sum(len(e.panoptic.segments) for e in examples)
    for example in examples:
        assert example.image.shape[:2] == example.panoptic.ids.shape
    return source, examples


def save_image(path, size=(6, 8), seed=0):
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)


def save_labels(path, values, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, dtype)).save(path)


def save_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def turned_jpeg(path):
    """A JPEG stored as 6 x 8 pixels, that EXIF shows as 8 x 6."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(path, exif=exif)
