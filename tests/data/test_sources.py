"""From a config to a dataset: every layout's name leads to its reader."""

import pytest

from pix2seq_d.config import ConfigError, SourceConfig
from pix2seq_d.config.training import SOURCES
from pix2seq_d.data import sources


def make(**fields):
    return sources.make_source(SourceConfig(**fields), train=True, size=(32, 32))


ROOTLESS = ("shapes", "shapes_video", "tfds")


@pytest.mark.parametrize("name", [n for n in SOURCES if n not in ROOTLESS])
def test_every_layout_is_opened_by_its_own_reader(name, tmp_path):
    with pytest.raises(ConfigError, match=rf"root=''.*name='{name}' needs the folder"):
        make(name=name)
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        make(name=name, root=str(tmp_path))


def test_tfds_needs_a_builder_and_no_root():
    with pytest.raises(ConfigError, match=r"builder='': .*builder=coco/2017_panoptic"):
        make(name="tfds")


def test_unknown_layouts_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no dataset layout is called 'voc'"):
        sources.open_source("voc", str(tmp_path), "train")


def test_shapes_take_their_number_of_images():
    assert len(make(name="shapes", train_images=7)) == 7
    assert len(make(name="shapes_video", train_images=25)) == 2 * 24
