"""Images cut into strips of rows: a few of them are a batch that fills a TPU's tiles.

A TPU lays the examples of a batch of maps in the eight rows of a tile. With fewer its
compiler spreads the columns over the rows, and copies maps to and fro between
convolutions (docs/performance.md, "Images a chip"). Strips are examples to it; only a
convolution needs rows of its neighbours.
"""

import dataclasses

import jax
import jax.numpy as jnp

_ROWS = 8  # of a tile


@dataclasses.dataclass(frozen=True)
class Strips:
    """How images are cut on TPUs (ours).

    Attributes:
      devices: number of them that a batch is split over.
    """

    devices: int

    def number(self, images: int, height: int, *, stride: int) -> int:
        """Strips of an image: eight, where a device has fewer images; else 1.

        Args:
          images: of a batch, on all devices.
          height: rows of a map.
          stride: by which the network shrinks it while it is cut; where a strip
            cannot have a multiple of it there is one strip.
        """
        few = -(-images // self.devices) < _ROWS
        return _ROWS if few and height % (_ROWS * stride) == 0 else 1


def number_of(x: jax.Array, strips: Strips | None, *, stride: int) -> int:
    """`Strips.number` for a map [B, h, w, C]; 1 where images are not cut."""
    return 1 if strips is None else strips.number(*x.shape[:2], stride=stride)


def cut(x: jax.Array, number: int) -> jax.Array:
    """[B, h, w, C] -> [number B, h / number, w, C]."""
    batch, height, *rest = x.shape
    return x.reshape(batch * number, height // number, *rest)


def join(x: jax.Array, number: int) -> jax.Array:
    """The inverse of `cut`."""
    batch, height, *rest = x.shape
    return x.reshape(batch // number, height * number, *rest)


def of_each(x: jax.Array, number: int) -> jax.Array:
    """Of images [B, ...] -> of their strips [number B, ...]."""
    return x if number == 1 else jnp.repeat(x, number, axis=0)


def with_neighbours(x: jax.Array, number: int, *, above: int, below: int) -> jax.Array:
    """Strips with rows of the strips above and below them; zeros outside the image.

    Args:
      x: [number B, h, w, C].
      number: strips of an image.
      above: rows to be added, at most h.
      below: likewise.
    Returns:
      [number B, above + h + below, w, C].
    """
    batch, height, *rest = x.shape
    x = x.reshape(batch // number, number, height, *rest)
    parts = [x]
    if above:
        rows = x[:, :-1, height - above :]
        parts.insert(0, jnp.pad(rows, ((0, 0), (1, 0), *3 * ((0, 0),))))
    if below:
        rows = x[:, 1:, :below]
        parts.append(jnp.pad(rows, ((0, 0), (0, 1), *3 * ((0, 0),))))
    return jnp.concatenate(parts, axis=2).reshape(batch, -1, *rest)
