"""Every config file and variant is one: it builds, and its model has shapes."""

import importlib
import pathlib

import jax
import pytest

from pix2seq_d import config as config_lib
from pix2seq_d.cli import dry_run
from pix2seq_d.models import Pix2SeqD, parameter_count

FILES = [
    path.stem
    for path in sorted((pathlib.Path(__file__).parents[1] / "configs").glob("*.py"))
    if path.stem != "__init__"
]
VARIANTS = [
    (name, variant)
    for name in FILES
    for variant in importlib.import_module(f"configs.{name}").VARIANTS
]


def load(name, variant):
    fields = importlib.import_module(f"configs.{name}").get_config(variant)
    return config_lib.from_config_dict(fields)


def shapes_of(config):
    model = dry_run.settle(config)[0].model
    return jax.eval_shape(Pix2SeqD(model).init, jax.random.key(0))["params"]


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_every_variant_builds(name, variant):
    config = load(name, variant)
    count = parameter_count(shapes_of(config))
    assert 1e5 < count < 1e8
    assert config.train.num_steps > 1
    # Past masks come from videos, and from nowhere else.
    is_video = config.data.source.name in ("shapes_video", "kitti_step", "davis")
    assert (config.model.num_cond_frames > 0) == is_video


def test_all_that_interfaces_name_are_there():
    assert {"shapes", "shapes_video", "custom", "coco_panoptic"} <= set(FILES)
    assert {"kitti_step", "davis"} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_an_unknown_variant_lists_the_known_ones(name):
    with pytest.raises(ValueError, match="choose one of"):
        load(name, "nonesuch")


@pytest.mark.parametrize("variant", ["tiny", "small"])
def test_a_video_model_goes_on_from_the_image_model_of_its_size(variant):
    """Only the decoder's input is wider, by the bits of two past masks."""
    image, video = (shapes_of(load(n, variant)) for n in ("shapes", "shapes_video"))
    assert jax.tree.structure(image) == jax.tree.structure(video)
    differ = [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree_util.tree_leaves_with_path(image)
        if leaf.shape != dict(jax.tree_util.tree_leaves_with_path(video))[path].shape
    ]
    assert differ == ["decoder/input/kernel"]


def test_the_paper_models_have_the_papers_parameters():
    assert parameter_count(shapes_of(load("coco_panoptic", "high_res"))) == 94_492_480
    assert parameter_count(shapes_of(load("davis", "paper"))) == 94_496_576
    assert parameter_count(shapes_of(load("kitti_step", "paper"))) == 94_496_576
