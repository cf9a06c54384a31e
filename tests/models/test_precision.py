"""bfloat16: which operations of the training step stay in float32, and the drift."""

import dataclasses
import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, quick_jit, random_batch, random_variables, with_decoder

from pix2seq_d.config import DiffusionConfig, OptimizerConfig
from pix2seq_d.models import Pix2SeqD, variable_shapes
from pix2seq_d.models.summary import operations
from pix2seq_d.training import optimizer as optimizers
from pix2seq_d.training import state as states
from pix2seq_d.training import step as steps

CONFIG = with_decoder(TINY, channel_multipliers=(1,), num_res_blocks=(1,))
MODEL = Pix2SeqD(CONFIG, jnp.bfloat16)


@pytest.fixture(scope="module")
def step():
    """(state, outputs, jaxpr) of the traced step."""
    optimizer = optimizers.make(OptimizerConfig(ema_warmup=True), num_steps=9)
    fresh = functools.partial(states.fresh, optimizer=optimizer)
    state = jax.eval_shape(fresh, variable_shapes(CONFIG))
    train_step = functools.partial(
        steps.train_step,
        model=MODEL,
        optimizer=optimizer,
        diffusion=DiffusionConfig(),
        ema_decay=optimizers.ema_decay(OptimizerConfig(ema_warmup=True)),
    )
    jaxpr, outputs = jax.make_jaxpr(train_step, return_shape=True)(
        state, random_batch(2), jax.random.key(0)
    )
    return state, outputs, jaxpr.jaxpr


def halves(jaxpr, *names):
    """Paths of the operations so called that read or write bfloat16."""
    found = [
        (path, operation)
        for path, operation in operations(jaxpr, "")
        if operation.primitive.name in names
    ]
    assert found
    return {
        path
        for path, operation in found
        for variable in (*operation.invars, *operation.outvars)
        if variable.aval.dtype == jnp.bfloat16
    }


def test_state_and_scalars_are_float32(step):
    state, (after, scalars), _ = step
    assert jax.tree.map(jnp.dtype, after) == jax.tree.map(jnp.dtype, state)
    # The counts of state and optimizer are integers.
    kinds = {leaf.dtype for leaf in jax.tree.leaves((after, scalars))}
    assert kinds == {jnp.dtype("float32"), jnp.dtype("int32")}
    averaged = jax.tree.leaves((after.variables, after.ema, scalars))
    assert {leaf.dtype for leaf in averaged} == {jnp.dtype("float32")}


def test_softmax_loss_and_norms_are_float32(step):
    *_, jaxpr = step
    # Softmax, log-sum-exp, variances, swish; square roots of AdamW and clipping.
    assert not halves(jaxpr, "reduce_max", "log", "rsqrt", "sqrt", "logistic", "div")
    # GELU's slope has an exponential of its own.
    assert {path.rpartition("/")[2] for path in halves(jaxpr, "exp")} <= {"mlp"}
    # Going forward nothing is summed in bfloat16: neither statistics nor losses. Going
    # back, gradients of biases are.
    sums = halves(jaxpr, "reduce_sum")
    assert all(path.startswith("transpose(") for path in sums)
    assert not any(path.endswith("norm") for path in sums)


def test_residual_streams_are_float32(step):
    *_, jaxpr = step
    layer = re.compile(r".*/layer\d+")
    assert any(layer.fullmatch(path) for path, _ in operations(jaxpr, ""))
    assert not any(map(layer.fullmatch, halves(jaxpr, "add")))


def test_convolutions_and_products_are_bfloat16(step):
    *_, jaxpr = step
    # But those of the time embedding, of attention scores' gradients, and those of the
    # loss with the output layer.
    exact = re.compile(r".*\)/(output|(.*/)?time\d?|.*BNTS\))|jvp\(softmax_xent\).*")
    halved = set()
    for path, operation in operations(jaxpr, ""):
        product = operation.primitive.name in ("conv_general_dilated", "dot_general")
        if product and not exact.fullmatch(path):
            halved.update(variable.aval.dtype for variable in operation.invars)
    assert halved == {jnp.dtype(jnp.bfloat16)}


def test_bfloat16_drifts_little():
    # The program of test_remat.py, which is compiled once for both.
    config = dataclasses.replace(
        with_decoder(CONFIG, dropout=0.3),
        encoder=dataclasses.replace(CONFIG.encoder, dropout=0.3, drop_path=0.3),
    )
    variables, batch = random_variables(MODEL), random_batch(4)

    def run(dtype):
        loss = functools.partial(
            steps.batch_loss,
            model=Pix2SeqD(config, dtype),
            diffusion=DiffusionConfig(),
            key=jax.random.key(3),
        )
        return quick_jit(jax.value_and_grad(loss, has_aux=True))(
            variables["params"], variables["batch_stats"], batch
        )

    (exact, _), gradients = run(jnp.float32)
    (half, _), rounded = run(jnp.bfloat16)
    assert float(half) == pytest.approx(float(exact), rel=1e-3)
    one, other = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])
        for tree in (gradients, rounded)
    )
    cosine = one @ other / math.sqrt(one @ one * (other @ other))
    assert 0.97 < cosine < 1 - 1e-6
