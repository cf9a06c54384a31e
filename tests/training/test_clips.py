"""Training on clips: past masks condition the loss, with errors if wanted."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, quick_jit, random_batch, random_variables, with_decoder

from pix2seq_d.config import Config, ConfigError, DiffusionConfig, PastNoiseConfig
from pix2seq_d.data import sources
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.data.shapes_video import ShapesVideo
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import program as programs
from pix2seq_d.training import step as steps

IMAGE = with_decoder(TINY, channel_multipliers=(1,), num_res_blocks=(1,))
CLIPS = dataclasses.replace(IMAGE, num_cond_frames=2)
KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def batch():
    made = random_batch(4)
    labels = made["labels"]
    made["past"] = np.concatenate([np.roll(labels, 2, 2), np.roll(labels, 1, 2)], -1)
    return {name: jnp.asarray(value) for name, value in made.items()}


@pytest.fixture(scope="module")
def variables():
    return random_variables(Pix2SeqD(CLIPS))


def loss(variables, batch, *, config=CLIPS, draws=1, index=None, **noise):
    index = jnp.arange(len(batch["labels"])) if index is None else index
    return float(
        compiled(config, draws, PastNoiseConfig(**noise))(variables, batch, index)
    )


@functools.cache
def compiled(config, draws, noise):
    def run(variables, batch, index):
        return steps.batch_loss(
            variables["params"],
            variables["batch_stats"],
            batch,
            KEY,
            # Batch-norm would make an example's loss depend on the others.
            model=Pix2SeqD(config, freeze_batch_norm=True),
            diffusion=DiffusionConfig(noise_draws=draws),
            past_noise=noise,
            index=index,
        )[0]

    return quick_jit(run)


def with_past(batch, past):
    return {**batch, "past": past}


def test_past_masks_change_the_loss_each_of_them(variables, batch):
    whole = loss(variables, batch)
    for frame in (0, 1):
        past = batch["past"].at[..., 2 * frame : 2 * frame + 2].set(0)
        assert abs(loss(variables, with_past(batch, past)) - whole) > 1e-4


def test_inputs_with_weight_0_make_it_the_image_model(variables, batch):
    kernel = variables["params"]["decoder"]["input"]["kernel"]
    past_bits = 2 * CLIPS.num_bits
    blind = jax.tree.map(lambda leaf: leaf, variables)
    decoder = blind["params"]["decoder"]
    decoder["input"] = {
        **decoder["input"],
        "kernel": kernel.at[:, :, -past_bits:].set(0),
    }
    image = jax.tree.map(lambda leaf: leaf, blind)
    image["params"]["decoder"]["input"] = {
        **decoder["input"],
        "kernel": kernel[:, :, :-past_bits],
    }
    images = {name: batch[name] for name in ("image", "labels")}
    expected = loss(image, images, config=IMAGE)
    assert loss(blind, batch) == pytest.approx(expected, rel=1e-6)


def test_errors_are_put_into_the_past_masks_only(variables, batch):
    whole = loss(variables, batch)
    assert loss(variables, batch, drop=1.0) != whole
    emptied = batch["past"].at[...].set(0)
    things = batch["past"][..., 1::2].repeat(2, -1) > 0
    expected = loss(
        variables, with_past(batch, jnp.where(things, emptied, batch["past"]))
    )
    assert loss(variables, batch, drop=1.0) == pytest.approx(expected, rel=1e-6)


def test_every_noise_draw_sees_the_past_of_its_own_example(variables, batch):
    """Draws are numbered 2 i, 2 i + 1: those of a part are those of the whole."""
    whole = loss(variables, batch, draws=2, drop=0.5, merge=0.5)
    parts = [
        loss(
            variables,
            {name: value[rows] for name, value in batch.items()},
            draws=2,
            drop=0.5,
            merge=0.5,
            index=jnp.arange(4)[rows],
        )
        for rows in (slice(0, 2), slice(2, 4))
    ]
    assert whole == pytest.approx(sum(parts) / 2, rel=1e-5)


def test_self_conditioning_gets_the_past_masks_too(variables, batch):
    config = dataclasses.replace(CLIPS, self_conditioning="x")
    made = random_variables(Pix2SeqD(config))
    whole = loss(made, batch, config=config)
    empty = loss(made, with_past(batch, 0 * batch["past"]), config=config)
    assert abs(whole - empty) > 1e-4


def test_the_program_of_clips_takes_their_past():
    config = Config(model=CLIPS)
    program = programs.make(config, meshes.make_mesh())
    assert program.batch["past"].shape == (16, *CLIPS.mask_size, 4)
    assert "past" not in programs.make(Config(model=IMAGE), meshes.make_mesh()).batch


def test_clips_need_videos():
    videos = ShapesVideo("val", num_videos=2)
    assert sources.with_past(videos, 0, name="shapes_video") is videos
    assert len(sources.with_past(videos, 2, name="shapes_video")) == 2 * 22
    assert len(sources.with_past(videos, 1, name="shapes_video")) == 2 * 23
    with pytest.raises(ConfigError, match=r"num_cond_frames=2.*'shapes' has single"):
        sources.with_past(Shapes("val", num_examples=2), 2, name="shapes")
