"""Which axis of a parameter is split over `fsdp`, by its path (ours).

One table serves parameters, batch-norm statistics, the moving average and the
optimizer's moments: their paths end alike.
"""

import re
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

# (path, axes to split in order of preference): the first whose length the devices
# divide. Kernels are split where they are widest; what is small stays whole.
RULES: tuple[tuple[str, tuple[int, ...]], ...] = (
    (r"(query|key|value)_kernel", (0, 1, 2)),  # [D, heads, head_dim]
    (r"out_kernel", (2, 1, 0)),  # [heads, head_dim, D]
    (r"kernel", (-1, -2)),  # [..., in, out]
    (r"bias|(query|key|value|out)_bias|scale", ()),
    (r"mean|var", ()),  # of batch-norm
    (r"step|count", ()),  # of state and optimizer
)


def spec(path: str, shape: tuple[int, ...], *, fsdp: int) -> PartitionSpec:
    """Partition spec of one leaf.

    Args:
      path: names joined by "/", e.g. `variables/params/decoder/output/kernel`.
      shape: of the leaf.
      fsdp: devices along `fsdp`.
    Raises:
      ValueError: no rule knows the last name of the path.
    """
    name = path.rpartition("/")[2]
    for pattern, axes in RULES:
        if re.fullmatch(pattern, name):
            for axis in axes if fsdp > 1 else ():
                if shape[axis] % fsdp == 0:
                    names: list[str | None] = [None] * len(shape)
                    names[axis] = "fsdp"
                    return PartitionSpec(*names)
            return PartitionSpec()
    raise ValueError(
        f"no sharding rule for {path} {shape}; add one to pix2seq_d/sharding/rules.py"
    )


def shardings(tree: Any, mesh: Mesh) -> Any:
    """Tree of NamedSharding for a state or a part of one.

    Args:
      tree: of arrays or shapes.
      mesh: of `make_mesh`.
    Raises:
      ValueError: a leaf that no rule knows.
    """
    fsdp = mesh.shape["fsdp"]

    def sharding(path: Any, leaf: Any) -> NamedSharding:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return NamedSharding(mesh, spec(name, leaf.shape, fsdp=fsdp))

    return jax.tree_util.tree_map_with_path(sharding, tree)


def abstract(tree: Any, mesh: Mesh) -> Any:
    """The same tree as `ShapeDtypeStruct`s with their shardings."""
    return jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=place
        ),
        tree,
        shardings(tree, mesh),
    )
