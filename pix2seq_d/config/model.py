"""Config of the network and of the mask's representation (spec 1, 2.3, 4)."""

import dataclasses

from pix2seq_d.config.errors import require, require_range

INF = float("inf")
RESNET_BLOCKS = {14: (1, 1, 1), 26: (2, 2, 2), 50: (3, 4, 6), 101: (3, 4, 23)}
STEM_POOLS = ("same", "symmetric")
# `v` is known to the sampler only, it has no loss (spec 2.3).
PREDICTIONS = ("x_softmax_xent", "x_sigmoid_xent", "x", "eps", "v")
SELF_CONDITIONING = ("none", "x", "eps", "auto")
CONDITIONING = ("concat", "cross_attention")


@dataclasses.dataclass(frozen=True)
class ResNetConfig:
    """Backbone (spec 4.2)."""

    depth: int = 50  # 14, 26, 50 or 101: named by layers as published ResNets are
    width: float = 1.0  # factor on all channel counts
    variant: str = "c4"  # three groups of blocks; the only one the paper uses
    stem_stride: int = (
        4  # 4: 7x7 stride 2 and max-pool; 2: no max-pool (ours, small images)
    )
    # Ours, to run ImageNet weights as they were trained; the defaults are the paper's.
    stride_in_1x1: bool = False  # a block's stride: v1 on the first 1x1, paper on 3x3
    stem_pool: str = "same"  # max-pool's padding: same as TensorFlow, or symmetric

    @property
    def blocks(self) -> tuple[int, ...]:
        """Bottlenecks of each group."""
        return RESNET_BLOCKS[self.depth]


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """Transformer over the C4 tokens (spec 4.3)."""

    num_layers: int = 12  # settled by the parameter count, spec 4.3
    dim: int = 512  # token width
    mlp_dim: int = 2048  # hidden width of the feed-forward
    num_heads: int = 16  # heads of dim / num_heads
    dropout: float = 0.1  # at the input and in the feed-forward
    drop_path: float = 0.1  # the same in every layer


@dataclasses.dataclass(frozen=True)
class PyramidConfig:
    """Feature merge (spec 4.4)."""

    dim: int = 256  # output width where the last block makes it


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """TransUNet (spec 4.6)."""

    dim: int = 128  # width that the multipliers act on, and of the time code
    channel_multipliers: tuple[int, ...] = (1, 1, 2, 2)  # width of level i / dim
    num_res_blocks: tuple[int, ...] = (1, 1, 1, 1)  # residual blocks of level i, down
    in_strides: int = 1  # side of the patches the mask is cut into
    transformer_dim: int = 512  # width of the middle transformer
    transformer_layers: int = 6  # its layers
    head_dim: int = 64  # width of its heads
    mlp_ratio: int = 4  # hidden width / transformer_dim
    dropout: float = 0.0  # in residual blocks and feed-forwards (udrop)
    time_scale: float = 1000.0  # gamma times this enters the time code (spec 12)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network and the representation of the mask (spec 1, 2.3, 4)."""

    image_size: tuple[int, int] = (256, 256)  # (H, W) px the encoder sees
    mask_size: tuple[int, int] = (128, 128)  # (h, w) px of the generated mask
    num_cond_frames: int = 0  # past masks given as input
    num_classes: int = 134  # semantic ids with void; 0: taken from the data
    max_instances: int = 101  # instance ids with 0
    bits_per_channel: int = 8  # bits of the semantic and of the instance id
    bit_scale: float = 0.1  # analog value of a set bit, the paper's b
    softmax_groups: int = 2  # groups of bits with a softmax each
    prediction: str = "x_softmax_xent"  # what the decoder predicts, and the loss
    conditioning: tuple[str, ...] = CONDITIONING  # any subset; () = unconditional
    self_conditioning: str = "none"  # the decoder's own last estimate as input: x, eps
    # or auto, which is eps for the prediction eps and x for all others (spec 2.7)
    resnet: ResNetConfig = ResNetConfig()
    encoder: EncoderConfig = EncoderConfig()
    pyramid: PyramidConfig = PyramidConfig()
    decoder: DecoderConfig = DecoderConfig()

    @property
    def num_bits(self) -> int:
        """Channels of the analog mask: semantic and instance bits."""
        return 2 * self.bits_per_channel

    @property
    def num_codes(self) -> int:
        """Codes of one softmax group."""
        return 2 ** (self.num_bits // self.softmax_groups)

    @property
    def self_cond_estimate(self) -> str:
        """What the self-conditioning feeds back: none, x or eps (spec 2.7)."""
        if self.self_conditioning == "auto":
            return "eps" if self.prediction == "eps" else "x"
        return self.self_conditioning

    def __post_init__(self) -> None:
        r, e, d = self.resnet, self.encoder, self.decoder
        require(
            r.depth in RESNET_BLOCKS,
            f"model.resnet.depth={r.depth!r}: choose one of {sorted(RESNET_BLOCKS)}",
        )
        require(r.variant == "c4", f"model.resnet.variant={r.variant!r}: choose 'c4'")
        require(
            r.stem_stride in (2, 4),
            f"model.resnet.stem_stride={r.stem_stride!r}: choose 2 or 4",
        )
        require(
            r.stem_pool in STEM_POOLS,
            f"model.resnet.stem_pool={r.stem_pool!r}: choose one of {STEM_POOLS}",
        )
        require(
            e.dim > 0 and e.dim % 4 == 0,
            f"model.encoder.dim={e.dim!r}: take a multiple of 4",
        )
        require(
            e.num_heads > 0 and e.dim % e.num_heads == 0,
            f"model.encoder.num_heads={e.num_heads!r}: it must divide "
            f"model.encoder.dim={e.dim}",
        )
        require(
            d.dim > 0 and d.dim % 2 == 0,
            f"model.decoder.dim={d.dim!r}: take a multiple of 2",
        )
        require(
            d.in_strides >= 1, f"model.decoder.in_strides={d.in_strides!r}: take >= 1"
        )
        require(
            d.transformer_dim > 0 and d.transformer_dim % 4 == 0,
            f"model.decoder.transformer_dim={d.transformer_dim!r}: "
            "take a multiple of 4",
        )
        require(
            d.head_dim > 0 and d.transformer_dim % d.head_dim == 0,
            f"model.decoder.head_dim={d.head_dim!r}: it must divide "
            f"model.decoder.transformer_dim={d.transformer_dim}",
        )
        require(
            len(d.channel_multipliers) >= 1,
            f"model.decoder.channel_multipliers={d.channel_multipliers!r}: "
            "take one number per level, at least one",
        )
        require(
            len(d.channel_multipliers) == len(d.num_res_blocks),
            f"model.decoder.num_res_blocks={d.num_res_blocks!r}: one number "
            "per entry of model.decoder.channel_multipliers",
        )
        require(
            min(d.channel_multipliers) >= 1,
            f"model.decoder.channel_multipliers={d.channel_multipliers!r}: "
            "take whole numbers from 1",
        )
        require(
            min(d.num_res_blocks) >= 0,
            f"model.decoder.num_res_blocks={d.num_res_blocks!r}: "
            "take whole numbers from 0",
        )
        # Codes are 32-bit integers.
        require_range("model", self, 1, 30, "bits_per_channel")
        require_range("model", self, 0, INF, "num_classes", "num_cond_frames")
        # The stem of a ResNet of width 1 has 64 channels; one has to be left.
        require_range("model.resnet", r, 1 / 64, INF, "width")
        require_range("model.encoder", e, 0, INF, "num_layers")
        require_range("model.encoder", e, 1, INF, "mlp_dim")
        require_range("model.encoder", e, 0, 0.99, "dropout", "drop_path")
        require_range("model.pyramid", self.pyramid, 1, INF, "dim")
        require_range("model.decoder", d, 1, INF, "transformer_layers", "mlp_ratio")
        require_range("model.decoder", d, 0, 0.99, "dropout")
        require(
            self.prediction in PREDICTIONS,
            f"model.prediction={self.prediction!r}: choose one of {PREDICTIONS}",
        )
        require(
            self.self_conditioning in SELF_CONDITIONING,
            f"model.self_conditioning={self.self_conditioning!r}: "
            f"choose one of {SELF_CONDITIONING}",
        )
        require(
            set(self.conditioning) <= set(CONDITIONING),
            f"model.conditioning={self.conditioning!r}: choose any of {CONDITIONING}",
        )
        require(
            self.softmax_groups >= 1 and self.num_bits % self.softmax_groups == 0,
            f"model.softmax_groups={self.softmax_groups!r}: it must divide "
            f"the {self.num_bits} bits",
        )
        require(
            self.num_classes <= 2**self.bits_per_channel,
            f"model.num_classes={self.num_classes!r}: "
            f"{self.bits_per_channel} bits hold {2**self.bits_per_channel} "
            "classes; raise model.bits_per_channel",
        )
        require(
            2 <= self.max_instances <= 2**self.bits_per_channel,
            f"model.max_instances={self.max_instances!r}: take 2 to "
            f"{2**self.bits_per_channel} (2**model.bits_per_channel ids, with 0)",
        )
        require(self.bit_scale > 0, f"model.bit_scale={self.bit_scale!r}: take it > 0")
        stride = 4 * r.stem_stride
        require(
            all(s > 0 and s % stride == 0 for s in self.image_size),
            f"model.image_size={self.image_size!r}: both sides must be "
            f"multiples of {stride}, the encoder's stride",
        )
        # The pyramid's last block brings the largest map that is not above mask
        # size to it by one integer factor.
        maps = [
            tuple(side // (r.stem_stride * k) for side in self.image_size)
            for k in (1, 2, 4)
        ]
        top = next((m for m in maps if m[0] <= self.mask_size[0]), maps[-1])
        factor = self.mask_size[0] // top[0]
        require(
            self.mask_size == (factor * top[0], factor * top[1]),
            f"model.mask_size={self.mask_size!r}: both sides must be the same integer "
            f"multiple of a feature map's: {', '.join(map(str, maps))}",
        )
        step = d.in_strides * 2 ** (len(d.channel_multipliers) - 1)
        require(
            all(s > 0 and s % step == 0 for s in self.mask_size),
            f"model.mask_size={self.mask_size!r}: both sides must be "
            f"multiples of {step}, the decoder's stride",
        )
