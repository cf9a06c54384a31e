"""Losses are counted, and what hangs is named, in both loaders."""

import dataclasses
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from tiny_source import LABEL_SPACE, TinySource

from pix2seq_d.config import Config
from pix2seq_d.data import in_memory, pipeline, sources
from pix2seq_d.data.reader import Reader
from pix2seq_d.instance_ids import COCO, number
from pix2seq_d.sharding import mesh as meshes

SIZES = dict(image_size=(16, 24), mask_size=(8, 12), batch_size=4, seed=0)
LOADERS = pytest.mark.parametrize("loader", [pipeline, in_memory])


@LOADERS
def test_segments_without_an_id_are_counted_once_an_image(loader, capfd):
    source = TinySource(6)
    batches = loader.train_batches(source, **SIZES, max_instances=3)
    for _ in range(6):  # four epochs
        next(batches)
    batches.close()
    dropped = [
        number([source[k].panoptic], LABEL_SPACE, max_instances=3).num_dropped
        for k in range(6)
    ]
    lines = capfd.readouterr().err.splitlines()
    lines = [line for line in lines if not line.startswith("reading image")]
    warning, report = lines
    assert warning.startswith("warning: 00") and "model.max_instances" in warning
    assert report.startswith(
        f"{sum(dropped)} segment(s) in {np.count_nonzero(dropped)} of the images read "
        "became void: they had more than model.max_instances=3"
    )


@LOADERS
def test_nothing_is_said_where_nothing_is_lost(loader, capfd):
    batches = loader.train_batches(TinySource(4), **SIZES, max_instances=9)
    next(batches)
    batches.close()
    assert capfd.readouterr().err in ("", "reading image 4/4\n")


class Hanging(TinySource):
    """Example 3 never comes; with `late`, its name does."""

    late = False
    release = threading.Event()

    def __getitem__(self, index):
        example = super().__getitem__(index)
        if index != 3:
            return example
        if not self.late:
            self.release.wait()
        return Late(example)


@dataclasses.dataclass
class Late:
    example: object
    file_name: str = "003.png"

    @property
    def image(self):
        Hanging.release.wait()


@pytest.fixture
def hanging():
    Hanging.release.clear()
    yield Hanging(8)
    Hanging.release.set()


@LOADERS
@pytest.mark.parametrize("late", [False, True])
def test_an_example_that_hangs_is_named(loader, late, hanging):
    hanging.late = late
    what = r"example 3 \(003\.png\)" if late else "example 3"
    message = rf"within 0\.5 s; waiting for {what} since \d+ s.*; see to the disk"
    batches = None
    with pytest.raises(TimeoutError, match=message):
        batches = loader.train_batches(
            hanging, **SIZES, max_instances=9, read_timeout_s=0.5
        )
        for _ in range(4):
            next(batches)


@pytest.mark.parametrize("name", ["tf", "memory"])
def test_the_configs_limit_is_taken(name, hanging):
    config = Config()
    config = dataclasses.replace(
        config,
        model=dataclasses.replace(
            config.model, image_size=(32, 32), mask_size=(16, 16), max_instances=9
        ),
        train=dataclasses.replace(config.train, batch_size=4),
        data=dataclasses.replace(config.data, loader=name, read_timeout_s=0.5),
    )
    mesh = meshes.make_mesh(meshes.jax.devices()[:1])
    with pytest.raises(TimeoutError, match=r"within 0\.5 s; .*example 3"):
        batches = sources.train_batches(hanging, config, mesh=mesh)
        for _ in range(4):
            next(batches)


def test_many_examples_under_way_are_shortened():
    class Slow(TinySource):
        def __getitem__(self, index):
            Hanging.release.wait()
            return super().__getitem__(index)

    Hanging.release.clear()
    reader = Reader(Slow(9), max_instances=9, rule=COCO)
    assert reader.under_way() == "no file, but the processor"
    threads = [threading.Thread(target=reader.read, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    while len(reader._under_way) < 6:
        pass
    text = reader.under_way()
    assert text.count("example ") == 4 and text.endswith("since 0 s, 2 more")
    Hanging.release.set()
    for thread in threads:
        thread.join()
    assert reader.under_way() == "no file, but the processor"


@pytest.mark.parametrize("module", ["pipeline", "in_memory"])
def test_an_example_that_hangs_does_not_keep_python_from_ending(module):
    script = (
        "import time\n"
        "from tiny_source import TinySource\n"
        f"from pix2seq_d.data import {module}\n"
        "class Hanging(TinySource):\n"
        "    def __getitem__(self, index):\n"
        "        time.sleep(1000)\n"
        f"next({module}.train_batches(Hanging(4), image_size=(16, 24),"
        " mask_size=(8, 12), batch_size=4, seed=0, max_instances=9,"
        " read_timeout_s=0.5))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.path.dirname(__file__)},
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("TimeoutError: no training example")
