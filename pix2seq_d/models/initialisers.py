"""How parameters start, and the draw of them all, by NumPy."""

import dataclasses
import math
import zlib
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from scipy import special

# A normal that is cut at two deviations has this one.
_CUT_DEVIATION = 0.87962566103423978
# What Linen's BatchNorm starts its moving statistics with.
_STATISTICS = {"mean": 0.0, "var": 1.0}


@dataclasses.dataclass(frozen=True)
class Constant:
    """All numbers alike."""

    number: float

    def __call__(
        self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32
    ) -> Any:
        """`Boxed`, as Linen calls an initialiser."""
        return Boxed(jnp.full(shape, self.number, dtype), self)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Float32 array of a shape."""
        return np.full(shape, self.number, np.float32)


@dataclasses.dataclass(frozen=True)
class VarianceScaling:
    """Numbers around 0 of variance scale / fan; fans are those of the last two axes.

    The axes before them are the window of a convolution and multiply both fans.

    Attributes:
      scale: above 0.
      mode: which fan; `fan_avg` is the mean of both.
      distribution: `truncated_normal` is cut at two deviations of what is cut.
    """

    scale: float
    mode: Literal["fan_in", "fan_avg"]
    distribution: Literal["uniform", "truncated_normal"]

    def __call__(
        self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32
    ) -> Any:
        """`Boxed`, as Linen calls an initialiser."""
        init = nn.initializers.variance_scaling(
            self.scale, self.mode, self.distribution
        )
        return Boxed(init(key, shape, dtype), self)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Float32 array of a shape [..., in, out]."""
        window, fans = math.prod(shape[:-2]), shape[-2:]
        fan = fans[0] if self.mode == "fan_in" else sum(fans) / 2
        deviation = math.sqrt(self.scale / (window * fan))
        uniform = rng.random(shape, np.float32)  # [0, 1)
        if self.distribution == "uniform":
            limit = math.sqrt(3) * deviation
            return limit * (2 * uniform - 1)
        low, high = special.ndtr([-2.0, 2.0])
        normal = special.ndtri(np.float32(low) + np.float32(high - low) * uniform)
        return np.float32(deviation / _CUT_DEVIATION) * normal


Initialiser = Constant | VarianceScaling

zeros, ones = Constant(0.0), Constant(1.0)
# Keras' Glorot uniform. On a kernel of three axes it takes the leading axis for a
# window, which is what the attention of the reference does (spec 4.3, box).
glorot = VarianceScaling(1.0, "fan_avg", "uniform")
# Output layers start at almost 0 (spec 4.6).
tiny = VarianceScaling(1e-10, "fan_avg", "uniform")
# The backbone's (spec 4.2).
fan_in = VarianceScaling(1.0, "fan_in", "truncated_normal")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Boxed(nn.meta.AxisMetadata[Any]):
    """A parameter as Linen's `init` keeps it; modules see the array alone.

    Attributes:
      value: the array.
      initialiser: what drew it.
    """

    value: Any
    initialiser: Initialiser = dataclasses.field(metadata={"static": True})

    def unbox(self) -> Any:
        """The array."""
        return self.value

    def replace_boxed(self, val: Any) -> "Boxed":
        """The same with another array."""
        return Boxed(val, self.initialiser)

    def add_axis(self, index: int, params: dict[Any, Any]) -> "Boxed":
        """Unchanged: axes have no names here."""
        return self

    def remove_axis(self, index: int, params: dict[Any, Any]) -> "Boxed":
        """Unchanged: axes have no names here."""
        return self


def draw(boxed: Any, key: jax.Array, places: Any = None) -> Any:
    """Fresh variables, each from NumPy's generator of the key and its path (ours).

    Compiled, all draws are tens of thousands of operations: for the paper's network
    35 s on a CPU. Drawn so, the weights of a key are the same on any device, where
    NumPy and SciPy are; hosts of a job need the same versions of them.

    Args:
      boxed: variables as Linen's `init` keeps them; `ShapeDtypeStruct`s will do.
      key: [] of `jax.random.key`, of no function that is traced.
      places: tree of shardings like the result, None for the default device.
    Returns:
      The tree of float32 arrays, without the boxes.
    Raises:
      ValueError: the key is traced, or not one; or a layer has an initialiser that is
        not of this module.
    """
    if isinstance(key, Tracer):
        raise ValueError(
            "the key is traced: draw outside of jit and eval_shape; shapes alone are "
            "those of models.variable_shapes"
        )
    seed = np.asarray(jax.random.key_data(key))
    if seed.ndim != 1:
        raise ValueError(f"keys of shape {seed.shape[:-1]}: give one")

    def start(path: Any, leaf: Any) -> np.ndarray:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if isinstance(leaf, Boxed):
            rng = np.random.default_rng([*seed, zlib.crc32(name.encode())])
            return leaf.initialiser.draw(rng, leaf.value.shape)
        kind = name.rpartition("/")[-1]
        if kind not in _STATISTICS:
            raise ValueError(f"{name}: its initialiser is none of models.initialisers")
        return np.full(leaf.shape, _STATISTICS[kind], np.float32)

    arrays = jax.tree_util.tree_map_with_path(
        start, boxed, is_leaf=lambda leaf: isinstance(leaf, Boxed)
    )
    if places is None:
        return jax.tree.map(jnp.asarray, arrays)
    # Several processes put them together without comparing them.
    return jax.jit(lambda tree: tree, out_shardings=places)(arrays)
