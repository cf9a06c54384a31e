"""`loss.softmax_xent` from the decoder's last features, with its gradients (spec 2.5).

The last layer and its loss are one function that makes its gradients beside the loss,
as Hsu et al. (Liger kernels, arXiv 2410.10989) do it for language models: logits are
made once, a group of bits and a slice of rows at a time, and never kept. Masks of
512 x 512 have 537 MB of them an image, and as much of gradients.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pix2seq_d import analog_bits, code_logits


class _Target(NamedTuple):
    """What the logits of each place are compared with.

    Attributes:
      codes: [B, h, w, M] int32, of the M matrices of logits of `code_logits.by_group`.
      weights: [B, h, w, M] float32, of their cross-entropies in the loss.
    """

    codes: jax.Array
    weights: jax.Array


class _Made(NamedTuple):
    """Of a slice: losses and gradients, those of the last layer of each device."""

    loss: jax.Array  # [D]
    hidden: jax.Array  # [B, h, w, C]
    kernel: jax.Array  # [D, C, M * num_codes]
    bias: jax.Array  # [D, M * num_codes]


def softmax_xent_of_hidden(
    hidden: jax.Array,
    x0: jax.Array,
    weights: jax.Array,
    *,
    kernel: jax.Array,
    bias: jax.Array,
    num_codes: int,
    devices: int = 1,
    at_once: int = code_logits.AT_ONCE,
) -> jax.Array:
    """Mean over images, pixels and groups of W CE(logits, code of the group).

    Args:
      hidden: [B, h / s, w / s, C] float32, before the last layer.
      x0: [B, h, w, G * n] float32, the clean analog bits; no gradient flows to them.
      weights: [B, h, w] float32; likewise.
      kernel: [C, s * s * G * num_codes] float32 of the last layer, whose output is
        rearranged to full size (`layers.depth_to_space`).
      bias: [s * s * G * num_codes] float32.
      num_codes: 2**n.
      devices: D, that the images are split over.
      at_once: logits of a device's images in a slice of rows.
    Returns:
      [] float32.
    Source: spec 2.5, `x_softmax_xent`; the way is ours.
    """
    s = x0.shape[1] // hidden.shape[1]
    num_groups = kernel.shape[-1] // (s * s * num_codes)
    codes = analog_bits.bits_to_int(x0.reshape(*x0.shape[:-1], num_groups, -1))
    weights = weights / (math.prod(weights.shape) * num_groups)
    # Of each place of `hidden`: its s * s pixels' groups, as the kernel has them.
    target = _Target(
        _to_depth(codes, s),
        _to_depth(jnp.repeat(weights[..., None], num_groups, axis=-1), s),
    )
    slices = code_logits.num_slices(
        hidden.shape, kernel.shape[-1], devices=devices, at_once=at_once
    )
    return _loss(hidden, kernel, bias, target, devices, slices)


def _to_depth(x: jax.Array, s: int) -> jax.Array:
    """[B, h, w, G] -> [B, h / s, w / s, s * s * G], undone by `depth_to_space`."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // s, s, width // s, s, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // s, width // s, -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _loss(*arguments: Any) -> jax.Array:
    """The loss alone; `arguments` are those of `_with_gradients`."""
    return _with_gradients(*arguments)[0]


def _with_gradients(
    hidden: jax.Array,
    kernel: jax.Array,
    bias: jax.Array,
    target: _Target,
    devices: int,
    slices: int,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
    """The loss, and its gradients by hidden, kernel and bias."""
    of_slice = functools.partial(_of_slice, kernel=kernel, bias=bias, devices=devices)
    if slices == 1:
        made = of_slice(hidden, target)
    else:

        def step(so_far: _Made, index: jax.Array) -> tuple[_Made, None]:
            rows = functools.partial(code_logits.rows, index=index, slices=slices)
            made = of_slice(rows(so_far.hidden), _Target(*map(rows, target)))
            return _Made(
                so_far.loss + made.loss,
                # The gradient takes the place of what it is of: no second large array.
                code_logits.with_rows(so_far.hidden, made.hidden, index=index),
                so_far.kernel + made.kernel,
                so_far.bias + made.bias,
            ), None

        none = jnp.zeros((devices, *kernel.shape)), jnp.zeros((devices, *bias.shape))
        start = _Made(jnp.zeros(devices), hidden, *none)
        made, _ = jax.lax.scan(step, start, jnp.arange(slices))
    # Devices exchange sums once, not for every slice.
    return made.loss.sum(), (
        made.hidden,
        made.kernel.sum(axis=0),
        made.bias.sum(axis=0),
    )


def _multiplied(
    devices: int,
    slices: int,
    gradients: tuple[jax.Array, jax.Array, jax.Array],
    factor: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, None]:
    del devices, slices
    hidden, kernel, bias = (factor * gradient for gradient in gradients)
    return hidden, kernel, bias, None


_loss.defvjp(_with_gradients, _multiplied)


@jax.named_scope("softmax_xent")
def _of_slice(
    hidden: jax.Array,
    target: _Target,
    *,
    kernel: jax.Array,
    bias: jax.Array,
    devices: int,
) -> _Made:
    """The share of some rows, hidden [B, r, w, C]."""
    # [D, places, ...]: a sum over a device's places alone.
    places = hidden.reshape(devices, -1, hidden.shape[-1])
    codes, weights = (x.reshape(*places.shape[:2], -1) for x in target)
    num_codes = kernel.shape[-1] // codes.shape[-1]
    groups = code_logits.by_group(kernel, bias, num_codes=num_codes)
    loss, of_places = jnp.zeros(devices), jnp.zeros_like(places)
    of_kernel, of_bias = [], []
    for k, (group_kernel, group_bias) in enumerate(groups):
        logits = places @ group_kernel + group_bias
        own, gradient = _cross_entropy(logits, codes[..., k], weights[..., k])
        loss += own
        of_places += gradient @ group_kernel.T
        of_kernel.append(jnp.einsum("dpc,dpk->dck", places, gradient))
        of_bias.append(_sum_over_places(gradient))
    return _Made(
        loss,
        of_places.reshape(hidden.shape),
        jnp.concatenate(of_kernel, axis=-1),
        jnp.concatenate(of_bias, axis=-1),
    )


def _cross_entropy(
    logits: jax.Array, codes: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Sums of W CE, [D], and their gradient by the logits.

    Args:
      logits: [D, P, num_codes].
      codes: [D, P] int32.
      weights: [D, P].
    """
    # A comparison, for indexing has a scatter for gradient.
    is_code = codes[..., None] == jnp.arange(logits.shape[-1])
    picked = jnp.sum(jnp.where(is_code, logits, 0.0), axis=-1)
    most = jnp.max(logits, axis=-1, keepdims=True)
    powers = jnp.exp(logits - most)
    total = _sum_over_codes(powers)
    loss = jnp.sum(weights * (jnp.log(total) + most[..., 0] - picked), axis=1)
    # Two products in place of w (p - is_code): 1 % fewer cycles of a TPU.
    share = (weights / total)[..., None]
    return loss, powers * share - jnp.where(is_code, weights[..., None], 0.0)


# TPUs sum along a matrix' sides by products, of which they have plenty, in a sixth of
# the cycles. As in all their products, numbers are rounded to bfloat16 for it: sums are
# right to 0.2 % of those of sizes.
def _sum_over_codes(x: jax.Array) -> jax.Array:
    """[D, P, K] -> [D, P]."""
    plain = functools.partial(jnp.sum, axis=-1)
    return jax.lax.platform_dependent(x, tpu=_codes_by_product, default=plain)


def _codes_by_product(x: jax.Array) -> jax.Array:
    # A single column would be made a sum again.
    return (x @ jnp.ones((x.shape[-1], 2)))[..., 0]


def _sum_over_places(x: jax.Array) -> jax.Array:
    """[D, P, K] -> [D, K]."""
    plain = functools.partial(jnp.sum, axis=1)
    return jax.lax.platform_dependent(x, tpu=_places_by_product, default=plain)


def _places_by_product(x: jax.Array) -> jax.Array:
    return jnp.einsum("rp,dpk->drk", jnp.ones((8, x.shape[1])), x)[:, 0]
