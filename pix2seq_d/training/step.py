"""The pure training step: noise masks, denoise them, step the weights (spec 2, 5)."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from pix2seq_d import analog_bits
from pix2seq_d.config import DiffusionConfig, PastNoiseConfig
from pix2seq_d.diffusion import loss as losses
from pix2seq_d.diffusion import process
from pix2seq_d.diffusion.hidden_loss import softmax_xent_of_hidden
from pix2seq_d.models import Denoised, Features, Pix2SeqD, Prepared, last_layer
from pix2seq_d.sharding.layout import Layout
from pix2seq_d.training import past_noise as past_noises
from pix2seq_d.training import place_ids
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
      prediction: `model.prediction`, one without softmax.
    Returns:
      [B] float32.
    Raises:
      ValueError: unknown prediction type, or `output` is of another.
    Source: spec 2.5.
    """
    match prediction:
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
    past_noise: PastNoiseConfig = PastNoiseConfig(),  # noqa: B008 - frozen
    ids_by_place: bool = False,
    index: jax.Array | None = None,
    dropout_part: ArrayLike = 0,
    layout: Layout = Layout(),  # noqa: B008 - frozen, so safe to share
) -> tuple[jax.Array, Any]:
    """Mean loss over the batch and the updated batch-norm statistics.

    Args:
      params: trainable parameters.
      batch_stats: batch-norm statistics.
      batch: `image` [B, H, W, 3] float32 in [0, 1] or uint8, `labels`
        [B, h, w, 2] int32 (semantic, instance); for a model of clips also `past`
        [B, h, w, 2 F] int32, the maps of F frames before, oldest first.
      key: of this step.
      model: the model.
      diffusion: schedule, loss weights, noise draws.
      past_noise: errors that the past maps get.
      ids_by_place: objects get new ids, `place_ids.place`.
      index: [B] int32, the examples' places in the step's whole batch, which name
        their noise; None where this is the whole batch.
      dropout_part: [] int, which part of the batch this is: names its dropout.
      layout: where the arrays are.
    Returns:
      ([] float32, batch_stats).
    Source: spec 2.1, 2.5, 2.6.
    """
    config = model.config
    noise_key, dropout_key = jax.random.split(key)
    encoder_key, decoder_key, estimate_key = jax.random.split(
        jax.random.fold_in(dropout_key, dropout_part), 3
    )
    variables = {"params": params, "batch_stats": batch_stats}
    features, batch_stats = model.encode_train(
        variables, batch["image"], key=encoder_key
    )
    labels, draws = batch["labels"], diffusion.noise_draws
    if ids_by_place:
        labels = place_ids.place(labels, max_instances=config.max_instances)
    places = jnp.arange(labels.shape[0]) if index is None else index
    past = batch["past"] if config.num_cond_frames else None
    if past is not None and past_noise != PastNoiseConfig():
        past = past_noises.spoil_batch(
            noise_key,
            past,
            places,
            noise=past_noise,
            max_instances=config.max_instances,
        )
    cond_bits = None
    if past is not None:
        cond_bits = analog_bits.encode(past, config.bits_per_channel, config.bit_scale)
    prepared = model.prepare(variables, features, cond_bits)
    if draws > 1:
        labels, prepared = jax.tree.map(
            lambda x: jnp.repeat(x, draws, axis=0), (labels, prepared)
        )
        places = (places[:, None] * draws + jnp.arange(draws)).reshape(-1)
    # Not said, the compiler may split the decoder's channels over `fsdp` instead.
    labels, prepared, places = layout.examples((labels, prepared, places))
    x0 = analog_bits.encode(labels, config.bits_per_channel, config.bit_scale)
    t, eps = example_noise(noise_key, places, shape=x0.shape[1:])
    gamma = diffusion.train_schedule.make()(t)
    xt = process.q_sample(x0, eps, gamma=gamma)
    estimate = None
    if config.self_conditioning != "none":
        estimate = first_estimate(
            variables, xt, gamma, prepared, model=model, key=estimate_key
        )
    weights = losses.instance_weights(
        labels[..., 1], config.max_instances, diffusion.loss_weight_power
    )
    inputs = variables, xt, gamma, prepared
    if config.prediction == "x_softmax_xent":
        hidden = model.hidden(*inputs, x0_self_cond=estimate, key=decoder_key)
        # Whole, for the loss splits them by groups of bits.
        kernel, bias = layout.gather(last_layer(variables))
        loss = softmax_xent_of_hidden(
            hidden,
            x0,
            weights,
            kernel=kernel,
            bias=bias,
            num_codes=config.num_codes,
            devices=layout.devices,
        )
    else:
        output = model.denoise(*inputs, x0_self_cond=estimate, key=decoder_key)
        per_example = example_losses(
            output, x0=x0, eps=eps, weights=weights, prediction=config.prediction
        )
        loss = jnp.mean(per_example)
    return loss, batch_stats


def example_noise(
    key: jax.Array, index: jax.Array, *, shape: tuple[int, ...]
) -> tuple[jax.Array, jax.Array]:
    """Time and noise of every example, drawn from a key of its own.

    So neither the number of devices nor of accumulated parts changes them.

    Args:
      key: of the step.
      index: [B] int, names the examples.
      shape: (h, w, K) of the noise.
    Returns:
      t [B] float32 in [0, 1), eps [B, h, w, K] float32 standard normal.
    """

    def draw(i: jax.Array) -> tuple[jax.Array, jax.Array]:
        t_key, eps_key = jax.random.split(jax.random.fold_in(key, i))
        return jax.random.uniform(t_key), jax.random.normal(eps_key, shape)

    return jax.vmap(draw)(index)


def first_estimate(
    variables: Any,
    xt: jax.Array,
    gamma: jax.Array,
    features: Features | Prepared,
    *,
    model: Pix2SeqD,
    key: jax.Array,
) -> jax.Array:
    """The estimate that self-conditioning feeds in while training.

    Every other example gets what one more decoder pass, itself without an estimate,
    makes of it: x0 clipped to +-bit_scale, or the noise that belongs to it, as in the
    sampler. The rest gets zeros, as in its first step. (The reference takes the first
    half of the batch; every other one is as random, and stays on its device.)

    Args:
      variables: {'params', 'batch_stats'}; no gradient flows through the pass.
      xt: [B, h, w, K] float32, noisy analog bits; a last one of an odd number gets
        zeros.
      gamma: [B] float32, their level.
      features: as `denoise` takes them.
      model: with self-conditioning `x`, `eps` or `auto`.
      key: for dropout.
    Returns:
      [B, h, w, K] float32, zeros at odd places.
    Source: spec 2.7 (self_cond_rate 0.5).
    """
    config = model.config
    half = xt.shape[0] // 2

    def every_other(x: jax.Array) -> jax.Array:
        return x[: 2 * half].reshape(half, 2, *x.shape[1:])[:, 0]

    frozen, (xt_half, gamma_half, features) = jax.lax.stop_gradient(
        (variables, jax.tree.map(every_other, (xt, gamma, features)))
    )
    estimate = model.estimate(frozen, xt_half, gamma_half, features, key=key)
    estimate = jnp.clip(estimate, -config.bit_scale, config.bit_scale)
    if config.self_cond_estimate == "eps":
        estimate = process.eps_from_x0(xt_half, estimate, gamma=gamma_half)
    pairs = jnp.stack([estimate, jnp.zeros_like(estimate)], axis=1)
    estimates = pairs.reshape(2 * half, *xt.shape[1:])
    return jnp.concatenate([estimates, jnp.zeros_like(xt[2 * half :])])


def mean_gradients(
    params: Any,
    batch_stats: Any,
    batch: Batch,
    key: jax.Array,
    *,
    model: Pix2SeqD,
    diffusion: DiffusionConfig,
    past_noise: PastNoiseConfig = PastNoiseConfig(),  # noqa: B008 - frozen
    ids_by_place: bool = False,
    parts: int = 1,
    layout: Layout = Layout(),  # noqa: B008 - frozen, so safe to share
) -> tuple[jax.Array, Any, Any]:
    """Loss and gradients of a batch, taken in parts one after another.

    Every part has as many examples, and weights have mean 1 per image: means of the
    parts' losses and gradients are those of the whole batch. Batch-norm in training
    mode is not: it normalises each part by itself, and its moving statistics take
    `parts` steps.

    Args:
      params: trainable parameters.
      batch_stats: batch-norm statistics.
      batch: as `batch_loss` takes it, B examples.
      key: of this step.
      model: the model.
      diffusion: schedule, loss weights, noise draws.
      past_noise: errors that past maps get.
      ids_by_place: as `batch_loss` takes it.
      parts: k; it divides B.
      layout: where the arrays are.
    Returns:
      (loss [] float32, batch_stats, gradients float32).
    Source: ours.
    """
    gradients_of = jax.value_and_grad(batch_loss, has_aux=True)
    settings: dict[str, Any] = dict(
        model=model,
        diffusion=diffusion,
        past_noise=past_noise,
        ids_by_place=ids_by_place,
        layout=layout,
    )
    if parts == 1:
        (loss, batch_stats), gradients = gradients_of(
            params, batch_stats, batch, key, **settings
        )
        return loss, batch_stats, gradients
    count = batch["labels"].shape[0]
    split = functools.partial(layout.split, parts=parts)

    def add(carry: Any, part: Any) -> tuple[Any, None]:
        loss, batch_stats, gradients = carry
        examples, index, number = part
        (more, batch_stats), found = gradients_of(
            params,
            batch_stats,
            examples,
            key,
            index=index,
            dropout_part=number,
            **settings,
        )
        gradients = jax.tree.map(jnp.add, gradients, found)
        return (loss + more, batch_stats, gradients), None

    start = (jnp.zeros(()), batch_stats, jax.tree.map(jnp.zeros_like, params))
    whole = (jax.tree.map(split, batch), split(jnp.arange(count)), jnp.arange(parts))
    (loss, batch_stats, gradients), _ = jax.lax.scan(add, start, whole)
    mean = functools.partial(jax.tree.map, lambda x: x / parts)
    return loss / parts, batch_stats, mean(gradients)


def train_step(
    state: TrainState,
    batch: Batch,
    key: jax.Array,
    goes_on: jax.Array | None = None,
    *,
    model: Pix2SeqD,
    optimizer: optax.GradientTransformation,
    diffusion: DiffusionConfig,
    ema_decay: float | Callable[[jax.Array], jax.Array],
    past_noise: PastNoiseConfig = PastNoiseConfig(),  # noqa: B008 - frozen
    ids_by_place: bool = False,
    parts: int = 1,
    layout: Layout = Layout(),  # noqa: B008 - frozen, so safe to share
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One optimizer step.

    Where loss or gradient is no number, all but the step number stays as it was.

    Args:
      state: before the step.
      batch: as `batch_loss` takes it.
      key: root key of the training; the step folds in its number, so that a
        resumed training draws the same noise.
      goes_on: [] float32, `finite` of the step before: 0 leaves this one out, too, so
        that the state waits for whoever looks at it. None: it counts for nothing.
      model: the model.
      optimizer: of `optimizer.make`.
      diffusion: schedule, loss weights, noise draws.
      ema_decay: of the moving average; may be a function of the steps done.
      past_noise: errors that past maps get.
      ids_by_place: as `batch_loss` takes it.
      parts: that the batch is taken in (gradient accumulation).
      layout: where the arrays are.
    Returns:
      The state after the step and {'loss', 'grad_norm', 'param_norm', 'finite'}, []
      float32; `finite` is 1 or 0.
    """
    params = state.variables["params"]
    loss, batch_stats, gradients = mean_gradients(
        layout.gather(params),
        state.variables["batch_stats"],
        batch,
        jax.random.fold_in(key, state.step),
        model=model,
        diffusion=diffusion,
        past_noise=past_noise,
        ids_by_place=ids_by_place,
        parts=parts,
        layout=layout,
    )
    gradients = layout.scatter(gradients)
    grad_norm = optax.tree.norm(gradients)
    finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
    if goes_on is not None:
        finite &= goes_on > 0
    updates, opt_state = optimizer.update(gradients, state.opt_state, params)
    variables = {
        "params": optax.apply_updates(params, updates),
        "batch_stats": batch_stats,
    }
    decay = ema_decay(state.step) if callable(ema_decay) else ema_decay
    after = TrainState(
        step=state.step,
        variables=variables,
        ema=update_ema(state.ema, variables, decay=decay),
        opt_state=opt_state,
    )
    after = jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state)
    after = dataclasses.replace(after, step=state.step + 1)
    return after, {
        "loss": loss,
        "grad_norm": grad_norm,
        "param_norm": optax.tree.norm(params),
        "finite": finite.astype(jnp.float32),
    }
