"""A lower learning rate for a pre-trained image encoder, layer by layer (ours)."""

import re
from typing import Any

import jax
import optax

# The encoder's layers from the image up; numbers in a name order layers of one kind.
_LAYERS = (
    r"encoder/resnet/stem/.*",
    r"encoder/resnet/group(\d+)_block(\d+)/.*",
    r"encoder/input(?:_norm)?/.*",
    r"encoder/layer(\d+)/.*",
    r"encoder/output_norm/.*",
)
_NO_LAYER = (len(_LAYERS) - 1,)  # the last norm counts with the layer before it


def scale(factor: float, *, layer_decay: float) -> optax.GradientTransformation:
    """Multiplies updates by `factors`; after the optimizer, so its learning rate."""

    def update(updates: Any, params: Any) -> Any:
        del params
        scales = factors(updates, factor, layer_decay=layer_decay)
        return jax.tree.map(lambda change, share: change * share, updates, scales)

    return optax.stateless(update)


def factors(params: Any, factor: float, *, layer_decay: float) -> Any:
    """Tree of float: factor * layer_decay**d under `encoder/`, elsewhere 1.

    d is how many layers are between a parameter and the encoder's output: 0 in the
    last transformer layer and the norm after it, one more in every layer below, then
    in the projection before them, in every ResNet block and in the stem.

    Args:
      params: of the model, or shaped like them.
      factor: of the last layer.
      layer_decay: of every layer further down.
    Raises:
      ValueError: a parameter under `encoder/` of no known layer.
    Source: ours, after Clark et al., arXiv 2003.10555.
    """
    names = jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path, simple=True, separator="/"), params
    )
    encoder = filter(_is_encoder, jax.tree.leaves(names))
    layers = set(map(_layer, encoder)) - {_NO_LAYER}

    def factor_of(name: str) -> float:
        if not _is_encoder(name):
            return 1.0
        own = _layer(name)
        return factor * layer_decay ** sum(own < layer for layer in layers)

    return jax.tree.map(factor_of, names)


def _is_encoder(name: str) -> bool:
    return name.startswith("encoder/")


def _layer(name: str) -> tuple[int, ...]:
    """(place in _LAYERS, numbers in the name): greater for a later layer."""
    for place, pattern in enumerate(_LAYERS):
        match = re.fullmatch(pattern, name)
        if match:
            return (place, *map(int, match.groups()))
    raise ValueError(
        f"no layer of the encoder has {name}; add one to "
        "pix2seq_d/training/encoder_rate.py"
    )
