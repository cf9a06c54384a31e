"""Where a step's arrays are: gather parameters, compute, scatter gradients (ours).

Every device computes with whole parameters on its own examples; between steps it keeps
its part of them (ZeRO, Rajbhandari et al., arXiv 1910.02054). Saying so leaves the
compiler no choice: it would else, here and there, move activations.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding import rules


@dataclasses.dataclass(frozen=True)
class Layout:
    """The mesh of a step; without one all of this does nothing.

    Attributes:
      mesh: of `make_mesh`, or None.
    """

    mesh: Mesh | None = None

    @property
    def devices(self) -> int:
        """That a batch is split over."""
        return 1 if self.mesh is None else self.mesh.size

    def gather(self, params: Any) -> Any:
        """Parameters whole on every device, for use in a step."""
        if self.mesh is None:
            return params
        return jax.lax.with_sharding_constraint(params, meshes.replicated(self.mesh))

    def scatter(self, gradients: Any) -> Any:
        """Gradients summed over the devices, each with its part, as the state is."""
        if self.mesh is None:
            return gradients
        return jax.lax.with_sharding_constraint(
            gradients, rules.shardings(gradients, self.mesh)
        )

    def examples(self, batch: Any) -> Any:
        """Arrays whose leading axis is the batch: every example whole on its device."""
        if self.mesh is None:
            return batch
        return jax.lax.with_sharding_constraint(batch, meshes.over_batch(self.mesh))

    def split(self, x: jax.Array, *, parts: int) -> jax.Array:
        """[B, ...] -> [parts, B / parts, ...]; every example stays on its device."""
        each = x.shape[0] // (self.devices * parts)
        x = x.reshape(self.devices, parts, each, *x.shape[1:])
        x = jnp.swapaxes(x, 0, 1).reshape(parts, self.devices * each, *x.shape[3:])
        if self.mesh is None:
            return x
        place = PartitionSpec(None, meshes.BATCH_AXES)
        return jax.lax.with_sharding_constraint(x, NamedSharding(self.mesh, place))
