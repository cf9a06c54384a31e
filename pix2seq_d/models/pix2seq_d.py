"""The whole model as pure functions: init, encode, denoise (spec 4.1)."""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from pix2seq_d import analog_bits, code_logits
from pix2seq_d.config import ModelConfig
from pix2seq_d.diffusion import process
from pix2seq_d.models import decoder as decoders
from pix2seq_d.models import initialisers
from pix2seq_d.models.attention_kernel import Kernel
from pix2seq_d.models.decoder import MaskDecoder, Prepared
from pix2seq_d.models.encoder import ImageEncoder
from pix2seq_d.models.layers import depth_to_space
from pix2seq_d.models.pyramid import FeaturePyramid
from pix2seq_d.models.strips import Strips

Variables = dict[str, Any]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Features:
    """What the encoder gives to every denoising step.

    Attributes:
      tokens: [B, L, D], keys and values of the cross-attention.
      fused: [B, h, w, C], concatenated to the noisy mask.
    """

    tokens: jax.Array
    fused: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Denoised:
    """One decoder pass.

    Attributes:
      output: [B, h, w, K] raw decoder output, None with softmax groups.
      logits: [B, h, w, G, 2**n] float32, None without softmax groups.
      x0: [B, h, w, K] float32, estimate of the clean analog bits.
    """

    output: jax.Array | None
    logits: jax.Array | None
    x0: jax.Array


@dataclasses.dataclass(frozen=True)
class Pix2SeqD:
    """Image encoder, feature pyramid and mask decoder.

    `variables` is {'params': {'encoder', 'pyramid', 'decoder'}, 'batch_stats':
    {'encoder'}}; an unconditional model has the decoder only.

    Attributes:
      config: sizes and depths.
      dtype: compute dtype; parameters, softmax, logits and x0 are float32.
      remat: what the backward pass computes again, one of `config.REMAT`.
      freeze_batch_norm: `encode_train` takes the moving statistics and leaves them.
      attention: the kernel, of `attention_choice.best`.
      strips: how images are cut between convolutions, None for not at all.
    """

    config: ModelConfig
    dtype: Any = jnp.float32
    remat: str = "none"
    freeze_batch_norm: bool = False
    attention: Kernel = "xla"
    strips: Strips | None = None

    @functools.cached_property
    def encoder(self) -> ImageEncoder:
        """The Linen module of the image encoder."""
        config = self.config
        return ImageEncoder(
            config.resnet,
            config.encoder,
            self.dtype,
            self.remat,
            self.freeze_batch_norm,
            self.attention,
            self.strips,
        )

    @functools.cached_property
    def pyramid(self) -> FeaturePyramid:
        """The Linen module of the feature pyramid."""
        config = self.config
        return FeaturePyramid(
            config.pyramid, config.mask_size, self.dtype, self.remat, self.strips
        )

    @functools.cached_property
    def decoder(self) -> MaskDecoder:
        """The Linen module of the mask decoder."""
        config = self.config
        channels = config.num_bits
        if config.prediction == "x_softmax_xent":
            channels = config.softmax_groups * config.num_codes
        return MaskDecoder(
            config.decoder,
            channels,
            self.dtype,
            self.remat,
            self.attention,
            self.strips,
        )

    def init(self, key: jax.Array, places: Any = None) -> Variables:
        """Draws fresh variables {'params', 'batch_stats'}, float32.

        Args:
          key: [] of `jax.random.key`, of no function that is traced (NumPy draws);
            gives the same weights on any device.
          places: tree of shardings like the result, None for the default device.
        """
        return initialisers.draw(_boxed_shapes(self.config), key, places)

    def boxed_init(self, key: jax.Array) -> Variables:
        """`init` by Linen, whose draws are others: for shapes and initialisers."""
        config = self.config
        encoder_key, pyramid_key, decoder_key = jax.random.split(key, 3)
        params, stats = {}, {}
        images = jnp.zeros((1, *config.image_size, 3))
        features = self._no_features(1)
        if config.conditioning:
            (maps, tokens), made = self.encoder.init_with_output(
                encoder_key, images, train=False
            )
            params["encoder"] = made["params"]
            stats["encoder"] = made["batch_stats"]
            fused, made = self.pyramid.init_with_output(pyramid_key, [*maps, tokens])
            # Where the mask is as large as the token grid the pyramid has no layer.
            params["pyramid"] = made.get("params", {})
            features = _features(tokens, fused)
        variables = {"params": params, "batch_stats": stats}
        bits = jnp.zeros((1, *config.mask_size, config.num_bits))
        tokens = self._tokens(features)
        memory = () if tokens is None else (tokens,) * config.decoder.transformer_layers
        made = self.decoder.init(
            decoder_key,
            self._noisy(bits, None),
            jnp.ones((1,)),
            Prepared(self._fixed(features, None), memory),
            train=False,
        )
        params["decoder"] = made["params"]
        return variables

    def encode(self, variables: Variables, images: jax.Array) -> Features:
        """Encodes images with moving batch-norm statistics and no dropout.

        Args:
          variables: as `init` gives them.
          images: [B, H, W, 3] float32 RGB in [0, 1], or uint8.
        """
        return self._encode(variables, images, None)[0]

    def encode_train(
        self, variables: Variables, images: jax.Array, *, key: jax.Array
    ) -> tuple[Features, dict[str, Any]]:
        """Encodes with batch statistics, unless they are frozen, and dropout.

        Args:
          variables: as `init` gives them.
          images: as `encode`.
          key: for dropout and drop-path.
        Returns:
          The features and the updated 'batch_stats'.
        """
        return self._encode(variables, images, key)

    def prepare(
        self,
        variables: Variables,
        features: Features,
        cond_bits: jax.Array | None = None,
    ) -> Prepared:
        """What every `denoise` of an image has in common, computed once.

        Args:
          variables: as `init` gives them.
          features: of the images.
          cond_bits: as `denoise` takes them.
        Source: ours.
        """
        return decoders.prepare(
            variables["params"]["decoder"],
            self._fixed(features, cond_bits),
            self._tokens(features),
            config=self.config.decoder,
            dtype=self.dtype,
        )

    def denoise(
        self,
        variables: Variables,
        xt: jax.Array,
        gamma: jax.Array,
        features: Features | Prepared,
        cond_bits: jax.Array | None = None,
        x0_self_cond: jax.Array | None = None,
        *,
        key: jax.Array | None = None,
    ) -> Denoised:
        """One decoder pass.

        Args:
          variables: as `init` gives them.
          xt: [B, h, w, K] float32, noisy analog bits.
          gamma: [B] float32, their level.
          features: of the images, or what `prepare` makes of them and `cond_bits`.
          cond_bits: [B, h, w, frames K] analog bits of past masks, oldest first;
            None for empty ones (all bits -bit_scale), or if `features` has them.
          x0_self_cond: [B, h, w, K] the sampler's last estimate, x0 or eps as
            `config.self_cond_estimate` says; None for zeros, the first step's.
          key: for dropout in training; None for inference.
        Raises:
          ValueError: an estimate for a model without self-conditioning; past masks
            beside prepared features.
        Source: spec 2.3, 2.4, 2.7, 4.1.
        """
        config = self.config
        raw = self._decode(
            variables, xt, gamma, features, cond_bits, x0_self_cond, key=key
        )
        b = config.bit_scale
        if config.prediction == "x_softmax_xent":
            groups = config.softmax_groups
            logits = raw.reshape(*raw.shape[:-1], groups, config.num_codes)
            bits = analog_bits.expected_bits(jax.nn.softmax(logits, axis=-1))
            x0 = b * (2 * bits.reshape(*raw.shape[:-1], config.num_bits) - 1)
            return Denoised(None, logits, x0)
        match config.prediction:
            case "x_sigmoid_xent":
                x0 = b * (2 * jax.nn.sigmoid(raw) - 1)
            case "eps":
                x0 = process.x0_from_eps(xt, raw, gamma=gamma)
            case "v":
                x0 = process.x0_from_v(xt, raw, gamma=gamma)
            case _:
                x0 = raw
        return Denoised(raw, None, x0)

    def estimate(
        self,
        variables: Variables,
        xt: jax.Array,
        gamma: jax.Array,
        features: Features | Prepared,
        x0_self_cond: jax.Array | None = None,
        *,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """`denoise` without logits in memory, for the sampler's loop.

        Returns:
          [B, h, w, K] float32, `denoise(...).x0`.
        """
        config = self.config
        given = (variables, xt, gamma, features)
        if config.prediction != "x_softmax_xent":
            return self.denoise(*given, None, x0_self_cond, key=key).x0
        hidden = self.hidden(*given, x0_self_cond, key=key)
        kernel, bias = last_layer(variables)
        slices = 1
        if self.strips is not None:  # a TPU, on whose chip a slice's logits have room
            slices = code_logits.num_slices(
                hidden.shape, kernel.shape[-1], devices=self.strips.devices
            )
        bits = code_logits.expected_bits(
            hidden, kernel, bias, num_codes=config.num_codes, slices=slices
        )
        bits = depth_to_space(bits, config.decoder.in_strides)
        return config.bit_scale * (2 * bits - 1)

    def hidden(
        self,
        variables: Variables,
        xt: jax.Array,
        gamma: jax.Array,
        features: Features | Prepared,
        x0_self_cond: jax.Array | None = None,
        *,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """`denoise` up to the last layer, which is `last_layer`.

        Returns:
          [B, h / s, w / s, W] float32.
        """
        return self._decode(
            variables, xt, gamma, features, None, x0_self_cond, key=key, head=False
        )

    def _decode(
        self,
        variables: Variables,
        xt: jax.Array,
        gamma: jax.Array,
        features: Features | Prepared,
        cond_bits: jax.Array | None,
        x0_self_cond: jax.Array | None,
        *,
        key: jax.Array | None,
        head: bool = True,
    ) -> jax.Array:
        """The decoder's output; arguments as of `denoise`."""
        if x0_self_cond is not None and self.config.self_conditioning == "none":
            raise ValueError(
                "x0_self_cond was given to a model with "
                "model.self_conditioning='none'; leave it out"
            )
        if not isinstance(features, Prepared):
            features = self.prepare(variables, features, cond_bits)
        elif cond_bits is not None:
            raise ValueError("prepared features have past masks: leave cond_bits out")
        return _apply(
            self.decoder,
            {"params": variables["params"]["decoder"]},
            self._noisy(xt, x0_self_cond),
            gamma,
            features,
            train=key is not None,
            rngs=None if key is None else {"dropout": key},
            head=head,
        )

    def _encode(
        self, variables: Variables, images: jax.Array, key: jax.Array | None
    ) -> tuple[Features, dict[str, Any]]:
        config = self.config
        params, stats = variables["params"], variables["batch_stats"]
        if not config.conditioning:
            return self._no_features(images.shape[0]), stats
        if images.dtype == jnp.uint8:
            images = images.astype(jnp.float32) / 255
        train = key is not None
        (maps, tokens), updated = _apply(
            self.encoder,
            {"params": params["encoder"], "batch_stats": stats["encoder"]},
            images,
            train=train,
            rngs={"dropout": key} if train else None,
            mutable=["batch_stats"] if train else [],
        )
        fused: jax.Array = _apply(
            self.pyramid, {"params": params["pyramid"]}, [*maps, tokens]
        )
        if train:
            stats = {"encoder": updated["batch_stats"]}
        return _features(tokens, fused), stats

    def _no_features(self, batch: int) -> Features:
        """What an unconditional decoder gets.

        Zeros in place of the pyramid's output keep its input as wide as that of the
        conditional model (spec 4.5).
        """
        config = self.config
        fused = jnp.zeros((batch, *config.mask_size, config.pyramid.dim))
        return Features(jnp.zeros((batch, 0, config.encoder.dim)), fused)

    def _noisy(self, xt: jax.Array, estimate: jax.Array | None) -> jax.Array:
        """[noisy mask, last estimate], the first of the decoder's input channels."""
        if self.config.self_conditioning == "none":
            return xt
        estimate = jnp.zeros_like(xt) if estimate is None else estimate
        return jnp.concatenate([xt, estimate], axis=-1)

    def _fixed(self, features: Features, cond_bits: jax.Array | None) -> jax.Array:
        """[fused features, past masks], the others (spec 2.7, 4.1)."""
        config, fused = self.config, features.fused
        if "concat" not in config.conditioning:
            fused = jnp.zeros_like(fused)
        if not config.num_cond_frames:
            return fused
        shape = (*fused.shape[:-1], config.num_cond_frames * config.num_bits)
        if cond_bits is None:
            cond_bits = jnp.full(shape, -config.bit_scale)
        return jnp.concatenate([fused, cond_bits.astype(fused.dtype)], axis=-1)

    def _tokens(self, features: Features) -> jax.Array | None:
        if "cross_attention" in self.config.conditioning:
            return features.tokens
        return None


def last_layer(variables: Variables) -> tuple[jax.Array, jax.Array]:
    """Kernel [W, s * s * K] and bias of the decoder's last layer, a product."""
    layer = variables["params"]["decoder"]["output"]
    return layer["kernel"][0, 0], layer["bias"]


def _features(tokens: jax.Array, fused: jax.Array) -> Features:
    """Of a grid of tokens [B, gh, gw, D]."""
    return Features(tokens.reshape(tokens.shape[0], -1, tokens.shape[-1]), fused)


def variable_shapes(config: ModelConfig) -> Variables:
    """`Pix2SeqD.init`'s variables as `ShapeDtypeStruct`s; nothing is computed.

    They are those of every compute dtype, `remat` and `attention`.
    """
    return nn.meta.unbox(_boxed_shapes(config))


@functools.lru_cache(maxsize=8)  # tracing the full-size model takes seconds
def _boxed_shapes(config: ModelConfig) -> Variables:
    return jax.eval_shape(Pix2SeqD(config).boxed_init, jax.random.key(0))


def _apply(module: nn.Module, variables: Any, *args: Any, **kwargs: Any) -> Any:
    """`module.apply`, whose annotated union with `mutable`'s result fits neither."""
    return module.apply(variables, *args, **kwargs)


def parameter_count(params: Any) -> int:
    """Number of scalars in a tree of arrays or shapes."""
    leaves = jax.tree.leaves(nn.meta.unbox(params))
    return sum(int(leaf.size) for leaf in leaves)
