"""Attention's kernels: who takes which, and the check that cuDNN's has to pass."""

import dataclasses
import functools
import re
import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo
from tiny_model import TINY, with_decoder

from pix2seq_d.config import Config, DiffusionConfig, ModelConfig, TrainConfig
from pix2seq_d.dry_run import flops
from pix2seq_d.export import program as exported
from pix2seq_d.inference.predictor import Predictor
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.models import Pix2SeqD, attention_choice, variable_shapes
from pix2seq_d.models.attention_kernel import ByHead, attend
from pix2seq_d.models.summary import operations
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import program as programs
from pix2seq_d.training import step as steps

# Heads are wider than the 8 tokens of an image: no other array has the scores' shape.
CONFIG = dataclasses.replace(
    with_decoder(TINY, transformer_layers=2, transformer_dim=32, head_dim=16),
    encoder=dataclasses.replace(TINY.encoder, num_heads=1),
)
LAYERS = 1 + 2 * 2  # attention of the encoder, and twice in each decoder layer
FORWARD, BACKWARD = "@__cudnn$fmhaSoftmax(", "@__cudnn$fmhaSoftmaxBackward("
HALF = TrainConfig(batch_size=8, dtype="bfloat16", num_steps=9)


@pytest.fixture(autouse=True)
def unchecked():
    attention_choice.problem.cache_clear()
    yield
    attention_choice.problem.cache_clear()


@pytest.fixture
def cudnn(monkeypatch):
    """Programs with cuDNN's kernel can be traced and lowered, though not run."""
    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 91900)


@pytest.fixture
def gpus(monkeypatch):
    """This CPU's devices pass for GPUs, as far as the choice asks for the platform."""
    monkeypatch.setattr(attention_choice, "is_gpu", lambda device: True)


def shapes_of(*shapes):
    return [jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in shapes]


def gradients_of(model):
    """The traced gradients of a training batch of 4."""
    variables = variable_shapes(model.config)
    batch = {
        "image": jax.ShapeDtypeStruct((4, *TINY.image_size, 3), jnp.float32),
        "labels": jax.ShapeDtypeStruct((4, *TINY.mask_size, 2), jnp.int32),
    }
    loss = functools.partial(
        steps.batch_loss,
        model=model,
        diffusion=DiffusionConfig(),
        key=jax.random.key(3),
    )
    gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))
    return gradients.trace(variables["params"], variables["batch_stats"], batch)


def for_gpu(traced):
    return traced.lower(lowering_platforms=("cuda",)).as_text()


def test_cudnn_reaches_every_attention_and_no_scores_are_left(cudnn):
    traced = gradients_of(Pix2SeqD(CONFIG, jnp.bfloat16, attention="cudnn"))
    text = for_gpu(traced)
    assert text.count(FORWARD) == text.count(BACKWARD) == LAYERS
    checked = attention_choice.shapes(CONFIG)
    assert {shape[0] % 2 for shape in checked} == {0, 1}
    assert all(scores(text, shape) == 0 for shape in checked)
    # The check is of the shapes that the model has, odd lengths made even.
    met = {
        (query.shape[1], key.shape[1], *query.shape[2:])
        for query, key in (
            (one.aval for one in operation.invars[:2])
            for _, operation in operations(traced.jaxpr.jaxpr, "")
            if operation.primitive.name == "dot_product_attention_fwd_wrapper"
        )
    }
    assert met == {(q + q % 2, k + k % 2, *heads) for q, k, *heads in checked}


def test_xla_keeps_scores():
    for shape in attention_choice.shapes(CONFIG):
        queries, keys, *heads = shape
        arrays = shapes_of(*((4, n, *heads) for n in (queries, keys, keys)))
        text = for_gpu(jax.jit(functools.partial(attend, kernel="xla")).trace(*arrays))
        assert "cudnn" not in text and scores(text, shape) > 3


def scores(text, shape):
    """How often arrays [4, heads, queries, (1,) keys] are named, padded ones too."""
    q, k, heads, _ = shape
    sides = f"({q}|{q + q % 2})x(1x)?({k}|{k + k % 2})"
    return len(re.findall(f"4x{heads}x{sides}x[fb]", text))


def test_variables_are_those_of_any_kernel():
    # Also where there is no cuDNN.
    model = Pix2SeqD(CONFIG, jnp.bfloat16, attention="cudnn")
    made = nn.meta.unbox(jax.eval_shape(model.boxed_init, jax.random.key(0)))
    assert made == variable_shapes(CONFIG)


@pytest.mark.parametrize("lengths", [(9, 9), (9, 8), (8, 9), (8, 8)])
def test_odd_lengths_are_padded_and_masked(monkeypatch, lengths):
    real, devices = jax.nn.dot_product_attention, jax.devices()[:2]

    def stand_in(query, key, value, *, masks=True, **settings):
        """XLA's kernel, with what JAX asks of cuDNN's."""
        if settings.pop("implementation", None) == "cudnn":
            assert query.shape[1] % 2 == key.shape[1] % 2 == 0
            settings = settings if masks else {}
        return real(query, key, value, **settings)

    monkeypatch.setattr(jax.nn, "dot_product_attention", stand_in)
    shape = (*lengths, 2, 16)
    tolerance = attention_choice.TOLERANCE
    assert attention_choice.error("cudnn", shape, devices) < tolerance / 4
    forgetful = functools.partial(stand_in, masks=False)
    monkeypatch.setattr(jax.nn, "dot_product_attention", forgetful)
    found = attention_choice.error("cudnn", shape, devices)
    assert found > 4 * tolerance if lengths[1] % 2 else found < tolerance / 4


def test_a_kernel_that_gives_no_numbers_or_wrong_ones_is_not_taken(monkeypatch, caplog):
    shape, devices = (8, 8, 2, 8), tuple(jax.devices()[:1])
    for factor, reason in ((1.1, "off by 0.0"), (np.nan, "off by nan")):
        real = jax.nn.dot_product_attention

        def wrong(*arrays, implementation=None, factor=factor, real=real, **settings):
            made = real(*arrays, **settings)
            return made * factor if implementation == "cudnn" else made

        with monkeypatch.context() as patch:
            patch.setattr(jax.nn, "dot_product_attention", wrong)
            attention_choice.problem.cache_clear()
            assert attention_choice.problem((shape,), devices).startswith(reason)
    assert len(caplog.messages) == 2


def test_without_cudnn_everything_runs_with_xla_and_one_line_says_so(gpus, caplog):
    config, mesh = Config(model=CONFIG, train=HALF), meshes.make_mesh()
    program = programs.make(config, mesh)
    Predictor(config, mesh, seed=0)
    assert program.model.attention == "xla"
    (line,) = caplog.messages
    assert line.startswith("attention is by XLA, which takes more memory and time")
    assert "failed its check on" in line and "\n" not in line


def test_programs_for_gpus_take_the_kernel_that_passed(gpus, cudnn, monkeypatch):
    monkeypatch.setattr(attention_choice, "problem", lambda *_: "")
    config, mesh = Config(model=CONFIG, train=HALF), meshes.make_mesh()
    program = programs.make(config, mesh)
    assert program.model.attention == "cudnn"
    exact = dataclasses.replace(
        config, train=dataclasses.replace(HALF, dtype="float32")
    )
    assert programs.make(exact, mesh).model.attention == "xla"


def test_other_devices_than_gpus_have_no_check(monkeypatch, caplog):
    monkeypatch.setattr(attention_choice, "error", None)
    for platform, kernel in (("cpu", "xla"), ("tpu", ByHead(2))):
        devices = 2 * [types.SimpleNamespace(platform=platform, process_index=0)]
        assert attention_choice.best(CONFIG, "bfloat16", devices) == kernel
    assert not caplog.messages


def test_all_processes_take_what_passed_in_each(monkeypatch):
    devices = [types.SimpleNamespace(platform="gpu", process_index=i) for i in (0, 1)]
    monkeypatch.setattr(attention_choice, "problem", lambda *_: "")
    for other, kernel in (("", "cudnn"), ("off by 1", "xla")):
        monkeypatch.setattr(
            attention_choice, "gather", lambda found, other=other: [found, other]
        )
        assert attention_choice.best(CONFIG, "bfloat16", devices) == kernel


def test_exported_programs_have_no_kernel_of_one_vendor(gpus, cudnn, monkeypatch):
    monkeypatch.setattr(attention_choice, "problem", lambda *_: "")
    config = Config(model=CONFIG, train=HALF)
    classes = [Category(k, str(k), True, (k, 0, 0)) for k in range(1, 7)]
    segment = functools.partial(
        exported.segment, config=config, label_space=LabelSpace(tuple(classes))
    )
    traced = jax.jit(segment).trace(
        variable_shapes(CONFIG),
        jax.ShapeDtypeStruct((1, 40, 50, 3), jnp.uint8),
        jax.ShapeDtypeStruct((1, 2), jnp.int32),
        jax.ShapeDtypeStruct((), jnp.uint32),
    )
    found = {op.primitive.name for _, op in operations(traced.jaxpr.jaxpr, "")}
    assert "dot_general" in found
    assert not any(name.startswith("dot_product_attention") for name in found)


def test_arithmetic_of_cudnn_is_counted(cudnn):
    arrays = shapes_of((2, 10, 4, 8), (2, 6, 4, 8), (2, 6, 4, 8))
    product = 2 * 2 * 4 * 10 * 6 * 8
    kernel = functools.partial(attend, kernel="cudnn")
    forward = jax.make_jaxpr(kernel)(*arrays)
    assert flops.of(forward) == pytest.approx(2 * product, rel=1e-3)
    assert flops.product_bytes(forward) == 2 * 2 * 2 * 4 * 8 * (10 + 6)
    both = jax.make_jaxpr(lambda *x: jax.vjp(kernel, *x)[1](x[0]))(*arrays)
    assert flops.of(both) == pytest.approx((2 + 5) * product, rel=1e-3)


@pytest.mark.skipif(jax.default_backend() != "gpu", reason="needs an NVIDIA GPU")
def test_cudnn_passes_its_check_on_this_gpu():
    devices = jax.local_devices()
    for image, mask in ((256, 128), (512, 256), (1024, 512)):
        config = ModelConfig(image_size=(image, image), mask_size=(mask, mask))
        for shape in attention_choice.shapes(config):
            print(shape, attention_choice.error("cudnn", shape, devices))
        assert attention_choice.best(config, "bfloat16", devices) == "cudnn"
