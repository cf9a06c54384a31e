"""What a model consists of: shapes, parameters and arithmetic of every part.

Nothing is computed: the parts are read off the traced program, whose operations
carry the name of the Flax module that they are of.
"""

import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from pix2seq_d.config import ModelConfig
from pix2seq_d.models.pix2seq_d import Pix2SeqD, variable_shapes

# The part of the model that a module belongs to, in the order of the data flow; the
# first pattern that begins its path counts.
_PARTS = (
    ("encoder/resnet/stem", "stem"),
    (r"encoder/resnet/(group\d)", r"\1"),
    (r"encoder/input(_norm|_dropout)?\b", "input"),
    (r"encoder/layer\d+", "layers"),
    ("encoder/output_norm", "output norm"),
    (r"pyramid/(block\d)", r"\1"),
    (r"decoder/time\d", "time"),
    (r"decoder/input(_norm)?\b", "input"),
    (r"decoder/(down\d+)_", r"\1"),
    (r"decoder/middle/layer\d+", "middle layers"),
    ("decoder/middle/", "middle ends"),
    (r"decoder/(up\d+)_", r"\1"),
    (r"decoder/output(_norm)?\b", "output"),
)
# Name of the Linen module in the program -> ours in the variables.
_MODULES = {
    "ImageEncoder": "encoder",
    "FeaturePyramid": "pyramid",
    "MaskDecoder": "decoder",
}


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the model.

    Attributes:
      module: encoder, pyramid or decoder.
      name: of the part within it.
      shape: of its output for one image, without the batch axis.
      params: number of trainable scalars.
      macs: multiply-accumulates of its convolutions and matrix products, for one
        image (encoder, pyramid) or one denoising step of one mask (decoder).
    """

    module: str
    name: str
    shape: tuple[int, ...]
    params: int
    macs: int


def summarize(config: ModelConfig) -> tuple[Part, ...]:
    """The parts of a model in the order of the data flow.

    Element-wise work, norms and softmax are not counted: convolutions and matrix
    products are what the time goes into. FLOPs are twice the MACs.

    Args:
      config: with num_classes set or not, which changes no layer.
    Returns:
      Parts; an unconditional model has those of the decoder only.
    Source: ours; it gives the numbers of spec 4.8 and 4.9.
    """
    model = Pix2SeqD(config)
    variables = variable_shapes(config)
    images = jax.ShapeDtypeStruct((1, *config.image_size, 3), jnp.float32)
    bits = jax.ShapeDtypeStruct((1, *config.mask_size, config.num_bits), jnp.float32)
    features = jax.eval_shape(model.encode, variables, images)
    gamma = jax.ShapeDtypeStruct((1,), jnp.float32)
    prepared = jax.eval_shape(model.prepare, variables, features)
    programs = (
        jax.make_jaxpr(model.encode)(variables, images),
        jax.make_jaxpr(model.denoise)(variables, bits, gamma, prepared),
    )
    shapes: dict[tuple[str, str], tuple[int, ...]] = {}
    macs: dict[tuple[str, str], int] = {}
    for program in programs:
        for part, operation in _in_parts(program):
            # Of all operations of a part the last makes its output.
            shapes[part] = operation.outvars[0].aval.shape[1:]
            macs[part] = macs.get(part, 0) + macs_of(operation)
    # A step as the paper has it; in a sampler this is done once for all steps.
    for part, operation in _in_parts(
        jax.make_jaxpr(model.prepare)(variables, features)
    ):
        macs[part] += macs_of(operation)
    params = dict.fromkeys(shapes, 0)
    for key_path, leaf in jax.tree_util.tree_leaves_with_path(variables["params"]):
        path = jax.tree_util.keystr(key_path, simple=True, separator="/")
        part = _part_of(path)
        assert part is not None, f"{path} belongs to no part of the summary"
        params[part] += math.prod(leaf.shape)
    return tuple(
        Part(
            module, name, shapes[module, name], params[module, name], macs[module, name]
        )
        for module, name in shapes
    )


def operations(jaxpr: Any, scope: str) -> Iterator[tuple[str, Any]]:
    """(path of the module, operation) of a program and the programs within it."""
    for operation in jaxpr.eqns:
        own = f"{scope}/{operation.source_info.name_stack}".strip("/")
        inner = [
            value.jaxpr if hasattr(value, "jaxpr") else value
            for value in operation.params.values()
            if hasattr(value, "jaxpr") or hasattr(value, "eqns")
        ]
        if operation.params.get("branches_platforms"):
            # What all platforms do but those that are named.
            inner = [operation.params["branches"][-1].jaxpr]
        if not inner:
            yield own, operation
        for program in inner:
            yield from operations(program, own)


def _in_parts(program: Any) -> Iterator[tuple[tuple[str, str], Any]]:
    """(module and name of the part, operation) of a program, as far as it is of any."""
    for path, operation in operations(program.jaxpr, ""):
        part = _part_of(path)
        if part is not None:
            yield part, operation


def _part_of(path: str) -> tuple[str, str] | None:
    module, slash, rest = path.partition("/")
    module = _MODULES.get(module, module)
    for pattern, name in _PARTS:
        match = re.match(pattern, f"{module}{slash}{rest}")
        if match:
            return module, match.expand(name)
    return None


def macs_of(operation: Any) -> int:
    """Multiply-accumulates of one traced operation; 0 for all but products."""
    if operation.primitive.name == "dot_general":
        (contracted, _), _ = operation.params["dimension_numbers"]
        left = operation.invars[0].aval.shape
        output = operation.outvars[0].aval.shape
        return math.prod(output) * math.prod(left[axis] for axis in contracted)
    if operation.primitive.name == "conv_general_dilated":
        kernel = operation.invars[1].aval.shape
        features = kernel[operation.params["dimension_numbers"].rhs_spec[0]]
        output = operation.outvars[0].aval.shape
        return math.prod(output) * math.prod(kernel) // features
    return 0


def table(parts: Sequence[Part], *, num_steps: int) -> str:
    """Text for people: every part, sums, and the cost of one mask.

    Args:
      parts: of `summarize`.
      num_steps: denoising steps of a mask.
    """
    lines = [f"{'':22s}{'output':>18s}{'parameters':>14s}{'GFLOP':>10s}"]
    total = {"params": 0, "image": 0, "step": 0}
    for module in dict.fromkeys(part.module for part in parts):
        own = [part for part in parts if part.module == module]
        per = "step" if module == "decoder" else "image"
        total["params"] += sum(part.params for part in own)
        total[per] += sum(part.macs for part in own)
        lines.append(_line(module, "", own) + f"  per {per}")
        for part in own:
            shape = " x ".join(map(str, part.shape))
            lines.append(_line(f"  {part.name}", shape, [part]))
    whole = (total["image"] + num_steps * total["step"]) * 2 / 1e9
    lines.append(f"{'all':40s}{total['params']:14,d}")
    lines.append(f"one mask of {num_steps} steps: {whole:,.4g} GFLOP")
    return "\n".join(lines)


def _line(name: str, shape: str, parts: Sequence[Part]) -> str:
    params = sum(part.params for part in parts)
    gflop = 2 * sum(part.macs for part in parts) / 1e9
    return f"{name:22s}{shape:>18s}{params:14,d}{gflop:10.4g}"
