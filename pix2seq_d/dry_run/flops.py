"""Arithmetic of a traced program, counted as XLA's cost analysis counts it.

XLA counts the body of a loop once; here it counts as often as the loop turns.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

# One for each element of the output. What XLA calls transcendental (exp, tanh, rsqrt,
# erf, ...) is no FLOP there, and none here; nor are random bits, less than 0.1 % of the
# paper's training step.
_ELEMENTWISE = (
    *("abs", "add", "add_any", "sub", "mul", "div", "rem", "neg", "sign", "square"),
    *("max", "min", "clamp", "floor", "ceil", "round", "is_finite", "select_n"),
    *("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "not"),
    *("shift_left", "shift_right_logical", "shift_right_arithmetic"),
    "convert_element_type",
)
# Products of queries, keys and head width in JAX's operations for cuDNN's attention;
# their first operands are query and key, [B, L, heads, head_dim]. Its softmax is left
# out: 2 to 4 % of that. The backward pass makes the scores again.
_CUDNN_PRODUCTS = {
    "dot_product_attention_fwd_wrapper": 2,
    "dot_product_attention_bwd_wrapper": 5,
}
_REDUCTIONS = (
    *("reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_and"),
    *("reduce_or", "argmax", "argmin"),
)


def of(jaxpr: Any, *, while_turns: int = 1) -> int:
    """FLOPs of one run of a traced program, loops included.

    A product of [M, K] and [K, N] has 2 M K N, a convolution 2 for each pair of
    kernel tap and output whose input is no padding, an element-wise operation 1 for
    each element, a reduction 1 for each element that it takes away.

    Args:
      jaxpr: of `jax.make_jaxpr` or `traced.jaxpr`.
      while_turns: turns of loops whose number only the data say; a `scan` knows its.
    """
    return _total(jaxpr, _arithmetic, while_turns)


def product_bytes(jaxpr: Any, *, while_turns: int = 1) -> int:
    """Bytes of operands and results of all products and convolutions, loops included.

    What a program moves that fuses all else into its products: attention's scores, the
    largest array of a batched product, stay on the chip. Arguments as of `of`.
    """
    return _total(jaxpr, _bytes, while_turns)


def _total(jaxpr: Any, count: Callable[[Any], int], while_turns: int) -> int:
    """Sum of `count` over the operations of one run."""
    return sum(
        _of_operation(eqn, count, while_turns)
        for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns
    )


def _of_operation(operation: Any, count: Callable[[Any], int], turns: int) -> int:
    name, params = operation.primitive.name, operation.params

    def total(jaxpr: Any) -> int:
        return _total(jaxpr, count, turns)

    if name == "scan":
        return params["length"] * total(params["jaxpr"])
    if name == "while":
        return turns * (total(params["cond_jaxpr"]) + total(params["body_jaxpr"]))
    if name == "cond":
        branches = params["branches"]
        if params.get("branches_platforms"):
            branches = branches[-1:]  # what all platforms do but those that are named
        return max(map(total, branches))
    inner = [
        value
        for value in params.values()
        if hasattr(value, "jaxpr") or hasattr(value, "eqns")
    ]
    return sum(map(total, inner)) if inner else count(operation)


def _bytes(operation: Any) -> int:
    products = ("dot_general", "conv_general_dilated", *_CUDNN_PRODUCTS)
    if operation.primitive.name not in products:
        return 0
    arrays = [one.aval for one in (*operation.invars, *operation.outvars)]
    sizes = [one.size * one.dtype.itemsize for one in arrays]
    if operation.primitive.name == "dot_general":
        _, (batched, _) = operation.params["dimension_numbers"]
        if batched:
            sizes.remove(max(sizes))
    return sum(sizes)


def _arithmetic(operation: Any) -> int:
    name, params = operation.primitive.name, operation.params
    size = math.prod(operation.outvars[0].aval.shape)
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        left = operation.invars[0].aval.shape
        return 2 * size * math.prod(left[axis] for axis in contracted)
    if name == "conv_general_dilated":
        return _of_convolution(operation)
    if name in _CUDNN_PRODUCTS:
        query, key = (one.aval for one in operation.invars[:2])
        return 2 * _CUDNN_PRODUCTS[name] * query.size * key.shape[1]
    if name in _ELEMENTWISE:
        return size
    if name == "integer_pow":
        power = abs(params["y"])
        return size * (power.bit_length() + power.bit_count() - 2)
    if name in _REDUCTIONS:
        return operation.invars[0].aval.size - size
    if name == "reduce_window_max":
        return size * (math.prod(params["window_dimensions"]) - 1)
    return 0


def _of_convolution(operation: Any) -> int:
    params = operation.params
    numbers = params["dimension_numbers"]
    image, kernel = (variable.aval.shape for variable in operation.invars)
    output = operation.outvars[0].aval.shape
    pairs = (
        _pairs(
            image[numbers.lhs_spec[axis]],
            kernel[numbers.rhs_spec[axis]],
            output[numbers.out_spec[axis]],
            stride=params["window_strides"][axis - 2],
            padding=params["padding"][axis - 2][0],
            image_dilation=params["lhs_dilation"][axis - 2],
            kernel_dilation=params["rhs_dilation"][axis - 2],
        )
        for axis in range(2, len(image))
    )
    batch = image[numbers.lhs_spec[0]] // params["batch_group_count"]
    features = image[numbers.lhs_spec[1]] // params["feature_group_count"]
    return 2 * batch * features * output[numbers.out_spec[1]] * math.prod(pairs)


def _pairs(
    image: int,
    kernel: int,
    output: int,
    *,
    stride: int,
    padding: int,
    image_dilation: int,
    kernel_dilation: int,
) -> int:
    """Pairs of output and tap on one axis that meet an element of the image."""
    place = np.arange(output)[:, None] * stride - padding
    place = place + np.arange(kernel) * kernel_dilation
    meets = (place >= 0) & (place % image_dilation == 0)
    meets &= place <= (image - 1) * image_dilation
    return int(np.sum(meets))
