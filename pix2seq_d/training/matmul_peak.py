"""The arithmetic that a device reaches in a plain matrix product, measured (ours).

The vendor's peak is what no program reaches: power and clock keep the best product
below it. How far a training is from that product is what its program can be blamed for.
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp


@functools.cache
def tflops(
    device: Any, *, dtype: str, size: int = 8192, repeats: int = 10
) -> float | None:
    """1e12 FLOP/s of a product of two square matrices: 2 size**3 / its shortest time.

    None where the device has no memory left for it.

    Args:
      device: of `jax.local_devices()`.
      dtype: of the matrices, bfloat16 or float32, at JAX's default precision.
      size: rows and columns. 8192 takes 0.2 GB each in bfloat16 and 1 to 10 ms on an
        accelerator.
      repeats: measurements; the shortest counts.
    """
    try:
        return _measure(device, dtype=dtype, size=size, repeats=repeats)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return None


def _measure(device: Any, *, dtype: str, size: int, repeats: int) -> float:
    with jax.default_device(device):
        key = jax.random.key(0)
        a, b = (
            jax.random.normal(
                jax.random.fold_in(key, n), (size, size), jnp.dtype(dtype)
            )
            for n in (0, 1)
        )
        product = jax.jit(jnp.matmul)
        jax.block_until_ready(product(a, b))
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            jax.block_until_ready(product(a, b))
            seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds) / 1e12
