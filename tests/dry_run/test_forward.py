"""FLOPs of a step from the forward passes alone, against XLA's own cost analysis."""

import dataclasses

import jax
import pytest

from configs import shapes
from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, dry_run
from pix2seq_d.dry_run import forward, measure, sampling


def test_a_step_agrees_with_xlas_count(micro):
    arguments = [
        *micro,
        # Products are most of the arithmetic, as in the models that one plans.
        "--config.model.resnet.width=0.25",
        "--config.model.encoder.dim=32",
        "--config.model.pyramid.dim=32",
        "--config.model.decoder.dim=32",
        "--config.model.decoder.transformer_dim=32",
        "--config.model.self_conditioning=x",
        "--config.diffusion.noise_draws=2",
        "--config.train.batch_size=3",
    ]
    made = config_lib.from_config_dict(shapes.get_config("tiny"))
    config, _ = dry_run.settle(app.override(made, arguments, allowed=("",)))
    program = measure.program_of(config, jax.devices()[:1])
    traced = program.step.trace(program.state, program.batch, program.key)
    counted = traced.lower().cost_analysis()["flops"]
    assert forward.step_flops(config) == pytest.approx(counted, rel=0.05)


def test_a_mask_is_what_the_sampler_takes(micro):
    made = config_lib.from_config_dict(shapes.get_config("tiny"))
    config, _ = dry_run.settle(app.override(made, micro, allowed=("",)))
    ((steps, counted),) = sampling.mask_flops(config).items()
    # The rest is noise, steps between levels and decoding, much for so small a model.
    passes = forward.mask_flops(config, steps)
    assert 0.9 * counted < passes <= counted


def test_what_changes_no_layer_costs_no_trace(micro):
    made = config_lib.from_config_dict(shapes.get_config("tiny"))
    model = app.override(made, micro, allowed=("",)).model
    other = dataclasses.replace(model, bit_scale=0.123, num_classes=5)
    assert forward.passes(model) is forward.passes(other)
