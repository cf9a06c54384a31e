"""`inference.regions` under `jax.jit`, for what is exported."""

import jax
import jax.numpy as jnp


def root_of_regions(semantic: jax.Array, counts: jax.Array) -> jax.Array:
    """The connected region of each pixel, diagonals connect: its last pixel.

    Every pixel takes the highest root of its neighbours of the same class, its root
    takes the highest that one of its pixels found, and every pixel that of its root,
    until none changes: as often as the logarithm of a region's length.

    Args:
      semantic: [h, w] int.
      counts: [h, w] bool, whether the pixel is of any region.
    Returns:
      [h, w] int32 in [1, h * w], the same for all pixels of a region and different for
      different ones; 0 where it is of none.
    """
    height, width = semantic.shape
    class_ = jnp.pad(semantic, 1, constant_values=-1)
    start = jnp.arange(1, height * width + 1, dtype=jnp.int32).reshape(height, width)
    start = jnp.where(counts, start, 0)
    shifts = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]

    def spread(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        root, _ = state
        around, highest = jnp.pad(root, 1), root
        for y, x in shifts:
            here = slice(y, y + height), slice(x, x + width)
            joins = counts & (class_[here] == semantic)
            highest = jnp.maximum(highest, jnp.where(joins, around[here], 0))
        # 0 looks itself up.
        table = jnp.concatenate([jnp.zeros(1, jnp.int32), highest.ravel()])
        table = table.at[root.ravel()].max(highest.ravel())
        highest = table[table[highest]]
        return highest, jnp.any(highest != root)

    state = start, jnp.array(True)
    return jax.lax.while_loop(lambda state: state[1], spread, state)[0]
