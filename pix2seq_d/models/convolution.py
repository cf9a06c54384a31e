"""Convolutions, as products on CPUs where XLA's own are slow there."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

NAME = "convolution"  # of outputs, for policies of rematerialisation
_NUMBERS = ("NHWC", "HWIO", "NHWC")
_FEWEST = 32  # channels from which nine products pay

Padding = str | Sequence[tuple[int, int]]


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Padding,
    *,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
) -> jax.Array:
    """A convolution of NHWC and HWIO, as Flax asks for one (`conv_general_dilated`).

    On CPUs alone, where its stride is 1 and its kernel odd, all of a 1x1 convolution is
    a product, and without AVX-512, from 32 channels on, the gradient of a larger kernel
    is one for each of its taps: XLA's gradients of kernels are far slower there
    (docs/performance.md). Equal to XLA's convolution up to rounding; elsewhere it is
    XLA's. It has no forward-mode derivative.

    Args:
      x: [B, H, W, I].
      kernel: [k, l, I, O].
      strides: of rows and columns.
      padding: 'SAME', 'VALID', or (before, after) of rows and columns.
      lhs_dilation: as Flax gives it, none; likewise the others.
      rhs_dilation: none.
      dimension_numbers: those of NHWC and HWIO.
      feature_group_count: 1.
      precision: JAX's own.
    Returns:
      [B, H', W', O], of the dtype of `x`.
    Raises:
      ValueError: dilation, groups or a precision is asked for.
    Source: ours.
    """
    del dimension_numbers
    dilations = (*(lhs_dilation or ()), *(rhs_dilation or ()))
    if feature_group_count != 1 or precision or any(one != 1 for one in dilations):
        raise ValueError("convolve has no dilation, groups or precision of its own")
    sides = kernel.shape[:2]
    if tuple(strides) != (1, 1) or not all(side % 2 for side in sides):
        return _plain(x, kernel, strides, padding)
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(x.shape[1:3], sides, (1, 1), padding)
    pads = tuple((int(before), int(after)) for before, after in padding)
    if any(
        not 0 <= pad < side
        for side, two in zip(sides, pads, strict=True)
        for pad in two
    ):
        return _plain(x, kernel, strides, padding)
    # Rematerialisation does not see what a function with gradients of its own does.
    return checkpoint_name(_with_gradients(x, kernel, pads), NAME)


def _plain(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int] = (1, 1),
    padding: Padding = "VALID",
) -> jax.Array:
    return jax.lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=_NUMBERS
    )


def _product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The same for a 1x1 kernel."""
    return jax.lax.dot_general(x, kernel[0, 0], (((3,), (0,)), ((), ())))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _with_gradients(x: jax.Array, kernel: jax.Array, padding: Any) -> jax.Array:
    if kernel.shape[:2] == (1, 1):
        return _either(_product, _plain, x, kernel)
    return _plain(x, kernel, padding=padding)


def _either(on_cpus: Any, elsewhere: Any, *arrays: jax.Array) -> jax.Array:
    """One of the two is compiled; neither is chosen while the program runs."""
    return jax.lax.platform_dependent(*arrays, cpu=on_cpus, default=elsewhere)


def _forward(x: jax.Array, kernel: jax.Array, padding: Any) -> tuple[Any, Any]:
    return _with_gradients(x, kernel, padding), (x, kernel)


def _backward(padding: Any, kept: Any, gradient: jax.Array) -> tuple[Any, Any]:
    x, kernel = kept
    sides, channels = kernel.shape[:2], kernel.shape[2:]
    plain = functools.partial(_plain, padding=padding)

    def of_x(function: Any, kernel: jax.Array, gradient: jax.Array) -> jax.Array:
        return jax.linear_transpose(lambda x: function(x, kernel), x)(gradient)[0]

    def of_kernel(x: jax.Array, gradient: jax.Array) -> jax.Array:
        transposed = jax.linear_transpose(lambda kernel: plain(x, kernel), kernel)
        return transposed(gradient)[0]

    by_xla = functools.partial(of_x, plain)
    by_product = functools.partial(of_x, _product)
    by_taps = functools.partial(kernel_gradient, sides=sides, padding=padding)
    if sides == (1, 1):
        return (
            _either(by_product, by_xla, kernel, gradient),
            _either(by_taps, of_kernel, x, gradient),
        )
    if min(channels) < _FEWEST or has_avx512():
        return by_xla(kernel, gradient), of_kernel(x, gradient)
    return by_xla(kernel, gradient), _either(by_taps, of_kernel, x, gradient)


_with_gradients.defvjp(_forward, _backward)


@functools.cache
def has_avx512() -> bool:
    """Whether this CPU has instructions with which XLA's gradients keep up."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and " avx512f " in cpuinfo.read_text(encoding="utf-8")


def kernel_gradient(
    x: jax.Array,
    gradient: jax.Array,
    *,
    sides: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> jax.Array:
    """dK[i, j] = sum over places of x[h + i - p, w + j - q] gradient[h, w]^T.

    A product for each tap. The gradient is moved instead of `x`: it has fewer channels
    where a U-Net joins maps.

    Args:
      x: [B, H, W, I].
      gradient: [B, H', W', O] of a convolution of stride 1.
      sides: (k, l) of the kernel.
      padding: ((p, p'), (q, q')) of `x`.
    Returns:
      [k, l, I, O].
    Source: ours.
    """
    batch, height, width, channels = x.shape
    # Row h of x meets row h - i + p of the gradient under tap i.
    rows, columns = (
        (side - 1 - before, side - 1 - after)
        for side, (before, after) in zip(sides, padding, strict=True)
    )
    moved = jnp.pad(gradient, ((0, 0), rows, columns, (0, 0)))
    flat = x.reshape(batch * height * width, channels).T

    def tap(i: int, j: int) -> jax.Array:
        top, left = sides[0] - 1 - i, sides[1] - 1 - j
        part = moved[:, top : top + height, left : left + width]
        return flat @ part.reshape(flat.shape[1], -1)

    taps = [tap(i, j) for i in range(sides[0]) for j in range(sides[1])]
    return jnp.stack(taps).reshape(*sides, channels, -1)
