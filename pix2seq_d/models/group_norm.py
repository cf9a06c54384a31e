"""GroupNorm, scale and shift by the time embedding, SiLU: one function (spec 4.4, 4.6).

For each image and channel norm, scale and shift are u = A x + c, where A and c follow
from the sums of x and x^2. So its gradients are two sums over a map and one pass,
dx = A du + dS1 + 2 dS2 x, and all that is kept for them is x. Autodiff of the parts
passes over the maps more often and keeps more (docs/performance.md).
"""

import functools
import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from pix2seq_d.models.initialisers import ones, zeros
from pix2seq_d.models.strips import of_each

_EPSILON = 1e-5

Modulation = tuple[jax.Array, jax.Array]


class GroupNorm(nn.Module):
    """`group_norm` with its parameters (spec 4.4, 4.6).

    It has min(C / 4, 32) groups; where that does not divide C (the reference fails
    there), as many as their greatest common divisor.

    Attributes:
      dtype: of the result.
      width: in place of C in the number of groups, where the reference has another.
      strips: that an image is cut into (`strips.cut`).
      silu: whether SiLU is taken.
    """

    dtype: Any = jnp.float32
    width: int | None = None
    strips: int = 1
    silu: bool = False

    @nn.compact
    def __call__(
        self,
        *parts: jax.Array,
        bias: jax.Array | None = None,
        modulation: Modulation | None = None,
    ) -> jax.Array:
        """Maps [B, h, w, C_i] of one dtype, side by side -> [B, h, w, C].

        Args:
          *parts: the maps.
          bias: [C], of the convolution that made them.
          modulation: scale and shift of each image, [images, C] each.
        """
        channels = sum(part.shape[-1] for part in parts)
        return group_norm(
            parts,
            self.param("scale", ones, (channels,)),
            self.param("bias", zeros, (channels,)),
            groups=self.groups(channels),
            bias=bias,
            modulation=modulation,
            strips=self.strips,
            silu=self.silu,
            dtype=self.dtype,
        )

    def groups(self, channels: int) -> int:
        """Number of groups of so many channels."""
        return math.gcd(channels, max(min((self.width or channels) // 4, 32), 1))


class _Form(NamedTuple):
    groups: int
    strips: int
    silu: bool
    dtype: Any


class _Small(NamedTuple):
    """All that is not a map."""

    scale: jax.Array
    shift: jax.Array
    bias: jax.Array | None
    modulation: Modulation | None


def group_norm(
    parts: tuple[jax.Array, ...],
    scale: jax.Array,
    shift: jax.Array,
    *,
    groups: int,
    bias: jax.Array | None = None,
    modulation: Modulation | None = None,
    strips: int = 1,
    silu: bool = False,
    dtype: Any = jnp.float32,
) -> jax.Array:
    """silu(GroupNorm(x + bias) (1 + m) + n), x the parts side by side; epsilon 1e-5.

    Sums are in float32, so a bias had better not cancel a mean of x that is hundreds of
    times its deviation. It has no forward-mode derivative.

    Args:
      parts: maps [B, h, w, C_i] of one dtype, that of their gradients; C together.
      scale: of the norm, [C].
      shift: likewise.
      groups: of channels that a mean and a variance are of.
      bias: [C], of the convolution that made the map; None for none.
      modulation: m and n of each image, [images, C] each; None for none.
      strips: examples that an image has (`strips.cut`): images = B / strips.
      silu: whether SiLU is taken.
      dtype: of the result.
    Returns:
      [B, h, w, C].
    Source: ours; Wu and He, arXiv 1803.08494.
    """
    small = _Small(scale, shift, bias, modulation)
    made: Any = _norm(parts, small, _Form(groups, strips, silu, dtype))
    return made


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _norm(parts: tuple[jax.Array, ...], small: _Small, form: _Form) -> jax.Array:
    return _forward(parts, small, form)[0]


def _forward(
    parts: tuple[jax.Array, ...], small: _Small, form: _Form
) -> tuple[jax.Array, Any]:
    # Each part by itself: TPUs make these sums where the part is made.
    exact = [part.astype(jnp.float32) for part in parts]
    sums = jnp.concatenate([_sum(x) for x in exact], axis=-1)
    squares = jnp.concatenate([_sum(x * x) for x in exact], axis=-1)
    gain, offset = _line(sums, squares, small, form, _places(parts))
    inner = _joined(parts) * gain + offset
    if form.silu:
        inner = inner * jax.nn.sigmoid(inner)
    return inner.astype(form.dtype), (parts, sums, squares, small)


def _backward(form: _Form, kept: Any, back: jax.Array) -> tuple[Any, _Small]:
    parts, *sums, small = kept
    line = functools.partial(_line, form=form, places=_places(parts))
    (gain, offset), pull = jax.vjp(line, *sums, small)
    x = _joined(parts)
    back = back.astype(jnp.float32)
    if form.silu:
        inner = x * gain + offset
        gate = jax.nn.sigmoid(inner)
        back = back * gate * (1 + inner * (1 - gate))
    of_line = _sum(back * x), _sum(back)
    of_sums, of_squares, of_small = pull(tuple(y[:, None, None] for y in of_line))
    # Rounded as gradients of convolutions are; a TPU's compiler would make it anew in
    # each pass that takes it.
    back = jax.lax.platform_dependent(
        back.astype(parts[0].dtype),
        tpu=jax.lax.optimization_barrier,
        default=lambda y: y,
    )
    of_parts, start = [], 0
    for part in parts:
        here = slice(start, start + part.shape[-1])
        start = here.stop
        of_part = back[..., here].astype(jnp.float32) * gain[..., here]
        of_part += of_sums[:, None, None, here]
        of_part += 2 * of_squares[:, None, None, here] * part.astype(jnp.float32)
        of_parts.append(of_part.astype(part.dtype))
    return tuple(of_parts), of_small


_norm.defvjp(_forward, _backward)


def _line(
    sums: jax.Array, squares: jax.Array, small: _Small, form: _Form, places: int
) -> tuple[jax.Array, jax.Array]:
    """A and c [B, 1, 1, C] of u = A x + c, from sums [B, C] of x and x^2."""
    batch, channels = sums.shape
    shape = batch // form.strips, form.strips, form.groups, channels // form.groups
    sums, squares = sums.reshape(shape).sum(1), squares.reshape(shape).sum(1)
    places *= form.strips  # of an image
    count = places * shape[-1]
    bias: jax.Array | float = 0.0
    if small.bias is not None:
        # For each image, so that devices add up its gradient once, and not each of
        # its terms.
        bias = jnp.broadcast_to(small.bias.reshape(shape[2:]), sums.shape)
        squares += bias * (2 * sums + places * bias)
        sums += places * bias
    mean = sums.sum(-1, keepdims=True) / count
    variance = squares.sum(-1, keepdims=True) / count - mean**2
    gain = jax.lax.rsqrt(jnp.maximum(variance, 0) + _EPSILON)
    gain *= small.scale.reshape(shape[2:])
    offset = (bias - mean) * gain + small.shift.reshape(shape[2:])
    gain, offset = (y.reshape(-1, channels) for y in (gain, offset))
    if small.modulation is not None:
        scale, shift = small.modulation
        gain, offset = gain * (1 + scale), offset * (1 + scale) + shift
    gain, offset = (of_each(y, form.strips) for y in (gain, offset))
    return gain[:, None, None], offset[:, None, None]


def _joined(parts: tuple[jax.Array, ...]) -> jax.Array:
    """Before they are float32, which would be written."""
    return jnp.concatenate(parts, axis=-1).astype(jnp.float32)


def _sum(x: jax.Array) -> jax.Array:
    """[B, h, w, C] -> [B, C]."""
    return x.sum((1, 2))


def _places(parts: tuple[jax.Array, ...]) -> int:
    _, height, width, _ = parts[0].shape
    return height * width
