"""The pure training step: noise masks, denoise them, step the weights (spec 2, 5)."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from pix2seq_d import analog_bits
from pix2seq_d.config import DiffusionConfig
from pix2seq_d.diffusion import loss as losses
from pix2seq_d.diffusion import process
from pix2seq_d.models import Denoised, Features, Pix2SeqD
from pix2seq_d.training.state import TrainState, update_ema

Batch = dict[str, Any]


def example_losses(
    output: Denoised,
    *,
    x0: jax.Array,
    eps: jax.Array,
    weights: jax.Array,
    prediction: str,
) -> jax.Array:
    """The loss of the prediction type, [B] float32.

    Args:
      output: of the decoder.
      x0: [B, h, w, K] float32 clean analog bits.
      eps: [B, h, w, K] float32 the noise that was added.
      weights: [B, h, w] float32; not used for `eps` (spec 2.3).
      prediction: `model.prediction`.
    Returns:
      [B] float32.
    Raises:
      ValueError: unknown prediction type, or `output` is of another.
    Source: spec 2.5.
    """
    match prediction:
        case "x_softmax_xent":
            return losses.softmax_xent(_given(output.logits), x0, weights)
        case "x_sigmoid_xent":
            return losses.sigmoid_xent(_given(output.output), x0, weights)
        case "x":
            return losses.l2(_given(output.output), x0, weights)
        case "eps":
            return losses.l2(_given(output.output), eps, jnp.ones_like(weights))
    raise ValueError(f"no loss for model.prediction={prediction!r}")


def _given(array: jax.Array | None) -> jax.Array:
    if array is None:
        raise ValueError(
            "the decoder's output is of another model.prediction than the loss; take "
            "`prediction` from the model's config"
        )
    return array


def batch_loss(
    params: Any,
    batch_stats: Any,
    batch: Batch,
    key: jax.Array,
    *,
    model: Pix2SeqD,
    diffusion: DiffusionConfig,
) -> tuple[jax.Array, Any]:
    """Mean loss over the batch and the updated batch-norm statistics.

    Args:
      params: trainable parameters.
      batch_stats: batch-norm statistics.
      batch: `image` [B, H, W, 3] float32 in [0, 1] or uint8, `labels`
        [B, h, w, 2] int32 (semantic, instance).
      key: of this step.
      model: the model.
      diffusion: schedule, loss weights, noise draws.
    Returns:
      ([] float32, batch_stats).
    Source: spec 2.1, 2.5, 2.6.
    """
    config = model.config
    t_key, eps_key, encoder_key, decoder_key, estimate_key = jax.random.split(key, 5)
    variables = {"params": params, "batch_stats": batch_stats}
    features, batch_stats = model.encode_train(
        variables, batch["image"], key=encoder_key
    )
    labels, draws = batch["labels"], diffusion.noise_draws
    if draws > 1:
        labels = jnp.repeat(labels, draws, axis=0)
        features = Features(
            jnp.repeat(features.tokens, draws, axis=0),
            jnp.repeat(features.fused, draws, axis=0),
        )
    x0 = analog_bits.encode(labels, config.bits_per_channel, config.bit_scale)
    t = jax.random.uniform(t_key, x0.shape[:1])
    eps = jax.random.normal(eps_key, x0.shape)
    gamma = diffusion.train_schedule.make()(t)
    xt = process.q_sample(x0, eps, gamma=gamma)
    estimate = None
    if config.self_conditioning != "none":
        estimate = first_estimate(
            variables, xt, gamma, features, model=model, key=estimate_key
        )
    output = model.denoise(
        variables, xt, gamma, features, x0_self_cond=estimate, key=decoder_key
    )
    weights = losses.instance_weights(
        labels[..., 1], config.max_instances, diffusion.loss_weight_power
    )
    per_example = example_losses(
        output, x0=x0, eps=eps, weights=weights, prediction=config.prediction
    )
    return jnp.mean(per_example), batch_stats


def first_estimate(
    variables: Any,
    xt: jax.Array,
    gamma: jax.Array,
    features: Features,
    *,
    model: Pix2SeqD,
    key: jax.Array,
) -> jax.Array:
    """The estimate that self-conditioning feeds in while training.

    The first half of the examples gets what one more decoder pass, itself without
    an estimate, makes of them: x0 clipped to +-bit_scale, or the noise that belongs
    to it, as in the sampler. The other half gets zeros, as in its first step.

    Args:
      variables: {'params', 'batch_stats'}; no gradient flows through the pass.
      xt: [B, h, w, K] float32, noisy analog bits.
      gamma: [B] float32, their level.
      features: of the images.
      model: with self-conditioning `x`, `eps` or `auto`.
      key: for dropout.
    Returns:
      [B, h, w, K] float32, zeros from example B // 2 on.
    Source: spec 2.7 (self_cond_rate 0.5).
    """
    config = model.config
    half = xt.shape[0] // 2
    frozen, xt_half, gamma_half, features = jax.lax.stop_gradient(
        (
            variables,
            xt[:half],
            gamma[:half],
            jax.tree.map(lambda feature: feature[:half], features),
        )
    )
    output = model.denoise(frozen, xt_half, gamma_half, features, key=key)
    estimate = jnp.clip(output.x0, -config.bit_scale, config.bit_scale)
    if config.self_cond_estimate == "eps":
        estimate = process.eps_from_x0(xt_half, estimate, gamma=gamma_half)
    return jnp.concatenate([estimate, jnp.zeros_like(xt[half:])])


def train_step(
    state: TrainState,
    batch: Batch,
    key: jax.Array,
    *,
    model: Pix2SeqD,
    optimizer: optax.GradientTransformation,
    diffusion: DiffusionConfig,
    ema_decay: float,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One optimizer step.

    Args:
      state: before the step.
      batch: as `batch_loss` takes it.
      key: root key of the training; the step folds in its number, so that a
        resumed training draws the same noise.
      model: the model.
      optimizer: of `optimizer.make`.
      diffusion: schedule, loss weights, noise draws.
      ema_decay: of the moving average.
    Returns:
      The state after the step and {'loss', 'grad_norm'}, [] float32.
    """
    (loss, batch_stats), gradients = jax.value_and_grad(batch_loss, has_aux=True)(
        state.variables["params"],
        state.variables["batch_stats"],
        batch,
        jax.random.fold_in(key, state.step),
        model=model,
        diffusion=diffusion,
    )
    params = state.variables["params"]
    updates, opt_state = optimizer.update(gradients, state.opt_state, params)
    variables = {
        "params": optax.apply_updates(params, updates),
        "batch_stats": batch_stats,
    }
    new_state = TrainState(
        step=state.step + 1,
        variables=variables,
        ema=update_ema(state.ema, variables, decay=ema_decay),
        opt_state=opt_state,
    )
    return new_state, {"loss": loss, "grad_norm": optax.tree.norm(gradients)}
