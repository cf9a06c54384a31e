"""Names of the official code's variables for this project's, one table per module.

The official trainer saves object-based TensorFlow checkpoints; a variable is named
by the attributes that lead to it (`model/encoder/stem_ln/gamma`). A rule renames
one layer, and says which config field sets each axis of its arrays, so that a
checkpoint of other sizes can be answered with the field to change.
"""

import dataclasses
import re
from collections.abc import Mapping

_LINEAR = {"kernel": "kernel", "bias": "bias"}
_NORM = {
    "scale": "gamma",
    "bias": "beta",
    "mean": "moving_mean",
    "var": "moving_variance",
}
_QUERY = {f"query_{leaf}": f"_query_dense/{leaf}" for leaf in ("kernel", "bias")}
_KEY_VALUE = {
    f"{part}_{leaf}": f"_{part}_dense/{leaf}"
    for part in ("key", "value")
    for leaf in ("kernel", "bias")
}
_ATTENTION_OUT = {f"out_{leaf}": f"_output_dense/{leaf}" for leaf in ("kernel", "bias")}


@dataclasses.dataclass(frozen=True)
class Rule:
    r"""Renames the arrays of one kind of layer.

    Attributes:
      target: pattern of our layer's path within its module.
      source: the official layer's path; `\1` is the pattern's first group.
      leaves: our array's name in the layer -> the official one's.
      fields: the config fields that set the last axes of the arrays, in order.
    """

    target: str
    source: str
    leaves: Mapping[str, str]
    fields: tuple[str, ...]

    def rename(self, path: str) -> str | None:
        """The official path of `path`, None where the rule does not apply."""
        layer, _, leaf = path.rpartition("/")
        match = re.fullmatch(self.target, layer)
        if match is None or leaf not in self.leaves:
            return None
        return f"{match.expand(self.source)}/{self.leaves[leaf]}"


def _linear(target: str, source: str, *fields: str) -> Rule:
    return Rule(target, source, _LINEAR, fields)


def _norm(target: str, source: str, field: str) -> Rule:
    return Rule(target, source, _NORM, (field,))


def _attention(
    target: str, source: str, *, dim: str, memory: str, heads: str
) -> tuple[Rule, ...]:
    return (
        Rule(target, source, _QUERY, (dim, heads, heads)),
        Rule(target, source, _KEY_VALUE, (memory, heads, heads)),
        Rule(target, source, _ATTENTION_OUT, (heads, heads, dim)),
    )


def _feed_forward(
    target: str, source: str, *, dim: str, hidden: str
) -> tuple[Rule, ...]:
    return (
        _norm(f"{target}/mlp_norm", rf"{source}/mlp/layernorms/0", dim),
        _linear(f"{target}/mlp/in", f"{source}/mlp/mlp_layers/0/dense1", dim, hidden),
        _linear(f"{target}/mlp/out", f"{source}/mlp/mlp_layers/0/dense2", hidden, dim),
    )


def _conv_norm(target: str, source: str, conv: int, norm: int) -> tuple[Rule, ...]:
    # The official code keeps convolution, norm and DropBlock in one list.
    width = "model.resnet.width"
    return (
        _linear(f"{target}/conv", f"{source}/{conv}/conv2d", width, width),
        _norm(f"{target}/norm", f"{source}/{norm}/bn", width),
    )


def _bottlenecks(group: int) -> tuple[Rule, ...]:
    target = rf"resnet/group{group}_block(\d+)"
    source = rf"resnet/block_groups/{group - 1}/layers/\1"
    layers = f"{source}/conv_relu_dropblock_layers"
    return (
        *_conv_norm(f"{target}/shortcut", f"{source}/projection_layers", 0, 1),
        *_conv_norm(f"{target}/conv1", layers, 0, 1),
        *_conv_norm(f"{target}/conv2", layers, 3, 4),
        *_conv_norm(f"{target}/conv3", layers, 6, 7),
    )


_DIM = "model.encoder.dim"
_ENCODER_LAYER = r"transformer_encoder/enc_layers/\1"

ENCODER = (
    *_conv_norm("resnet/stem", "resnet/initial_conv_relu_max_pool", 0, 2),
    *_bottlenecks(1),
    *_bottlenecks(2),
    *_bottlenecks(3),
    _linear("input", "stem_projection", "model.resnet.width", _DIM),
    _norm("input_norm", "stem_ln", _DIM),
    _norm(r"layer(\d+)/attention_norm", f"{_ENCODER_LAYER}/mha_ln", _DIM),
    *_attention(
        r"layer(\d+)/attention",
        f"{_ENCODER_LAYER}/mha",
        dim=_DIM,
        memory=_DIM,
        heads="model.encoder.num_heads",
    ),
    *_feed_forward(
        r"layer(\d+)", _ENCODER_LAYER, dim=_DIM, hidden="model.encoder.mlp_dim"
    ),
    _norm("output_norm", "output_ln", _DIM),
)


def _merge_block(block: str, width: str) -> tuple[Rule, ...]:
    source = r"upsample_blocks/\1"
    return (
        _linear(f"{block}/lateral", f"{source}/conv1", _DIM, width),
        _norm(f"{block}/lateral_norm", f"{source}/gn1", width),
        _linear(f"{block}/merge", f"{source}/conv2", width, width),
        _norm(f"{block}/merge_norm", f"{source}/gn2", width),
    )


PYRAMID = (
    *_merge_block("block([12])", "model.resnet.width"),
    *_merge_block("block(0)", "model.pyramid.dim"),
)

_BASE = "model.decoder.dim"
_PATCH = "model.decoder.in_strides"
_WIDTH = "model.decoder.channel_multipliers"
_FIRST = f"{_BASE} or {_WIDTH}"
_CHANNELS = "model.num_cond_frames, model.self_conditioning or model.bits_per_channel"
_MIDDLE = "model.decoder.transformer_dim"
_DECODER_LAYER = r"transformer/transformer_decoder/dec_layers/\1"


def _unit(direction: str, source: str) -> tuple[Rule, ...]:
    target = rf"{direction}(\d+)_block(\d+)"
    block = rf"{source}/\1/resnet_blocks/\2"
    return (
        _linear(f"{target}/skip", f"{block}/shortcut_layer", _WIDTH, _WIDTH),
        _norm(f"{target}/norm1", f"{block}/group_norm_0", _WIDTH),
        _linear(f"{target}/conv1", f"{block}/conv_0", _WIDTH, _WIDTH),
        _linear(f"{target}/time", f"{block}/emb_proj", _BASE, _WIDTH),
        _norm(f"{target}/norm2", f"{block}/group_norm_1", _WIDTH),
        _linear(f"{target}/conv2", f"{block}/conv_1", _WIDTH, _WIDTH),
    )


def _decoder_attention(kind: str, memory: str) -> tuple[Rule, ...]:
    target = r"middle/layer(\d+)"
    return (
        _norm(f"{target}/{kind}_norm", f"{_DECODER_LAYER}/{kind}_ln", _MIDDLE),
        *_attention(
            f"{target}/{kind}_attention",
            f"{_DECODER_LAYER}/{kind}_mha",
            dim=_MIDDLE,
            memory=memory,
            heads="model.decoder.head_dim",
        ),
    )


DECODER = (
    _linear(r"time(\d)", r"time_emb/dense_\1", _BASE, _BASE),
    # Of a conditional model the pyramid has told a wrong model.pyramid.dim before.
    _linear("input", "conv_in", _PATCH, _PATCH, _CHANNELS, _FIRST),
    _norm("input_norm", "group_norm_in", _FIRST),
    *_unit("down", "dn_units"),
    _linear(r"down(\d+)_resample", r"dn_units/\1/conv_dn", _WIDTH, _WIDTH),
    _norm("middle/input_norm", "transformer/trans_conv_in_norm", _WIDTH),
    _linear("middle/input", "transformer/trans_conv_in", _WIDTH, _MIDDLE),
    _linear("middle/time", "transformer/emb_proj", _BASE, _MIDDLE),
    *_decoder_attention("self", _MIDDLE),
    *_decoder_attention("cross", _DIM),
    *_feed_forward(
        r"middle/layer(\d+)",
        _DECODER_LAYER,
        dim=_MIDDLE,
        hidden="model.decoder.mlp_ratio",
    ),
    _norm("middle/output_norm", "transformer/trans_conv_out_norm", _MIDDLE),
    _linear("middle/output", "transformer/trans_conv_out", _MIDDLE, _MIDDLE),
    *_unit("up", "up_units"),
    _linear(r"up(\d+)_resample", r"up_units/\1/conv_up", _WIDTH, _WIDTH),
    _norm("output_norm", "group_norm_out", _FIRST),
    _linear("output", "conv_out", _FIRST, "model.softmax_groups or model.prediction"),
)

# Our module -> the official one's name and its rules, in the order of the data flow.
MODULES = {
    "encoder": ("encoder", ENCODER),
    "pyramid": ("encoder_fuse", PYRAMID),
    "decoder": ("denoiser", DECODER),
}

# Which field decides whether an official variable exists; the first match counts.
_PRESENCE = (
    (r"encoder/resnet/.*", "model.resnet.depth"),
    (r"encoder/transformer_encoder/.*", "model.encoder.num_layers"),
    (r"encoder_fuse/.*", "model.mask_size"),
    (r"denoiser/transformer/.*/cross_.*", "model.conditioning"),
    (r"denoiser/transformer/.*", "model.decoder.transformer_layers"),
    (r"denoiser/.*/shortcut_layer/.*", _WIDTH),
    (r"denoiser/.*/resnet_blocks/[1-9].*", "model.decoder.num_res_blocks"),
    (r"denoiser/.*_units/.*", _WIDTH),
)


def presence_field(source: str) -> str | None:
    """The config field that decides whether `encoder/...` etc. exists, if any."""
    for pattern, field in _PRESENCE:
        if re.fullmatch(pattern, source):
            return field
    return None
