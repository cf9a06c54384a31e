"""Rematerialisation: what the backward pass computes again instead of keeping it."""

from typing import Any

import flax.linen as nn
import jax

from pix2seq_d.models import convolution


def run(block: nn.Module, *args: Any, remat: str, **options: Any) -> Any:
    """`block(*args, **options)`, of whose inner values the backward pass keeps few.

    Outputs, gradients, random numbers and the names of parameters stay as they are.
    The inputs of a block are always kept.

    Args:
      block: a child of the module that calls this.
      *args: arrays, or None.
      remat: `none` keeps all; `dots` keeps outputs of convolutions and of products
        with weights, and computes norms, activations and attention again; `blocks`
        keeps nothing, and computes the block again.
      **options: static arguments, e.g. `train`.
    Raises:
      ValueError: unknown `remat`.
    Source: ours; Chen et al., arXiv 1604.06174.
    """
    match remat:
        case "none":
            return block(*args, **options)
        case "dots":
            policy: Any = _is_product
        case "blocks":
            policy = jax.checkpoint_policies.nothing_saveable
        case _:
            raise ValueError(f"no rematerialisation is called {remat!r}")

    def call(block: Any, *args: Any) -> Any:
        return block(*args, **options)

    # Around a call instead of a class: arguments by keyword stay out of the tracing.
    return nn.remat(call, policy=policy)(block, *args)


def _is_product(primitive: Any, *args: Any, **params: Any) -> bool:
    """Whether an operation is a convolution or a product with weights.

    Not the convolution that upsamples channel by channel.
    """
    return (
        (
            primitive.name == "conv_general_dilated"
            and params["feature_group_count"] == 1
        )
        or (primitive.name == "name" and params["name"] == convolution.NAME)
        or jax.checkpoint_policies.dots_with_no_batch_dims_saveable(
            primitive, *args, **params
        )
    )
