"""FLOPs of traced programs: by hand, and against XLA's own cost analysis."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import pytest

from configs import shapes, shapes_video
from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, dry_run
from pix2seq_d.dry_run import flops, forward, measure, sampling

# Products are most of the arithmetic, as in the paper's model: element-wise work that
# XLA's fusions repeat is not counted here.
WIDER = [
    "--config.train.batch_size=2",
    "--config.model.resnet.width=0.25",
    "--config.model.encoder.dim=32",
    "--config.model.encoder.mlp_dim=64",
    "--config.model.pyramid.dim=32",
    "--config.model.decoder.dim=32",
    "--config.model.decoder.transformer_dim=32",
]
CLOSE = 0.05


def settled(fields, arguments):
    made = app.override(config_lib.from_config_dict(fields), arguments, allowed=("",))
    return dry_run.settle(made)[0]


def traced_step(config):
    program = measure.program_of(config, jax.devices()[:1])
    return program.step.trace(program.state, program.batch, program.key)


def unrolled(monkeypatch):
    """Scans in the programs that are traced from now on are no loops."""
    scan = functools.partial(jax.lax.scan, unroll=True)
    monkeypatch.setattr(jax.lax, "scan", scan)


def of(function, *shapes_):
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes_]
    return flops.of(jax.make_jaxpr(function)(*arrays))


def test_operations_by_hand():
    assert of(jnp.dot, (3, 4), (4, 5)) == 2 * 3 * 4 * 5
    assert of(lambda x: x * 2 + 1, (3, 4)) == 2 * 12
    assert of(jnp.sum, (3, 4)) == 12 - 1
    assert of(lambda x: x**2, (5,)) == 5
    assert of(lambda x: x**7, (5,)) == 5 * 4
    assert of(jnp.exp, (5,)) == 0

    def pool(x):
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2, 3), (2, 3), "VALID")

    assert of(pool, (6, 6)) == 3 * 2 * 5


def test_loops_count_as_often_as_they_turn_and_branches_as_the_dearest():
    def scan(x):
        return jax.lax.scan(lambda x, _: (x @ x, None), x, None, length=7)[0]

    assert of(scan, (3, 3)) == 7 * 2 * 27

    def loop(x):
        return jax.lax.while_loop(lambda x: x[0, 0] < 5, lambda x: x @ x, x)

    jaxpr = jax.make_jaxpr(loop)(jnp.zeros((3, 3)))
    assert flops.of(jaxpr, while_turns=4) == 4 * (2 * 27 + 1)

    def branch(x):
        return jax.lax.cond(x[0, 0] < 5, lambda x: x @ x, lambda x: x + 1, x)

    # Besides the comparison and the conversion of its result to an index.
    assert of(branch, (3, 3)) == 2 * 27 + 2


@pytest.mark.parametrize(
    ("strides", "padding", "image_dilation", "kernel_dilation"),
    [
        ((1, 1), "SAME", (1, 1), (1, 1)),
        ((1, 1), "VALID", (1, 1), (1, 1)),
        ((2, 2), [(1, 1), (0, 1)], (1, 1), (1, 1)),
        ((1, 1), [(2, 3), (1, 2)], (2, 2), (1, 1)),  # as a gradient's
        ((1, 1), [(2, 2), (-1, 2)], (1, 1), (2, 1)),
    ],
)
def test_taps_of_convolutions_are_those_that_xla_counts(
    strides, padding, image_dilation, kernel_dilation
):
    def convolve(image, kernel):
        return jax.lax.conv_general_dilated(
            image,
            kernel,
            strides,
            padding,
            lhs_dilation=image_dilation,
            rhs_dilation=kernel_dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    image, kernel = jnp.zeros((2, 8, 7, 3)), jnp.zeros((3, 3, 3, 5))
    counted = jax.jit(convolve).lower(image, kernel).cost_analysis()["flops"]
    assert of(convolve, image.shape, kernel.shape) == counted


def test_the_training_step_agrees_with_xlas_count_of_it_without_loop(
    micro, monkeypatch
):
    arguments = [*micro, *WIDER, "--config.train.batch_size=4"]
    arguments += ["--config.train.grad_accumulation=2", "--config.train.remat=blocks"]
    config = settled(shapes.get_config("tiny"), arguments)
    found = flops.of(traced_step(config).jaxpr)
    unrolled(monkeypatch)
    counted = traced_step(config).lower().cost_analysis()["flops"]
    assert found == pytest.approx(counted, rel=CLOSE)


def test_sampling_agrees_with_the_compiled_program_without_loop(micro, monkeypatch):
    arguments = [*micro, *WIDER, "--config.diffusion.num_steps=3"]
    config = settled(shapes.get_config("tiny"), arguments)
    found = sampling.mask_flops(config)
    assert list(found) == [3]
    assert forward.mask_flops(config, 3) == pytest.approx(found[3], rel=CLOSE)
    unrolled(monkeypatch)
    compiled = sampling.trace(config).lower().compile()
    assert found[3] == pytest.approx(compiled.cost_analysis()["flops"], rel=CLOSE)


def test_a_videos_first_mask_has_its_steps_and_later_ones_theirs(micro):
    arguments = [*micro, *WIDER, "--config.diffusion.num_steps_next=1"]
    config = settled(shapes_video.get_config("tiny"), arguments)
    diffusion = dataclasses.replace(config.diffusion, num_steps=4)
    found = sampling.mask_flops(dataclasses.replace(config, diffusion=diffusion))
    assert list(found) == [4, 1]
    # Two steps in the text: one before the loop and one, counted once, within.
    lowered = sampling.trace(config).lower().cost_analysis()["flops"]
    step = (found[4] - found[1]) / 3
    assert found[1] + step == pytest.approx(lowered, rel=CLOSE)
