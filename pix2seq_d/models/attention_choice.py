"""What suits a device: blocks and strips on TPUs, cuDNN's kernel where it is right."""

import functools
import logging
import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pix2seq_d.config import ModelConfig
from pix2seq_d.models.attention_kernel import ByHead, Kernel, attend
from pix2seq_d.models.pix2seq_d import Pix2SeqD
from pix2seq_d.models.strips import Strips
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding.gather import gather

Shape = tuple[int, int, int, int]  # queries, keys, heads, head_dim

# XLA's kernel in bfloat16 is off by 0.002 to 0.007, one that masks nothing by 0.13 up.
TOLERANCE = 0.03


def best(config: ModelConfig, dtype: Any, devices: Iterable[Any]) -> Kernel:
    """The kernel for a model on some devices.

    TPUs take a head after another, GPUs cuDNN's where it proves right there: it is
    tried once, on those of this process; a line on stderr says if it fails. Call it
    outside of any trace, and in each process that has some of the devices.

    Args:
      config: of the model.
      dtype: compute dtype.
      devices: that will run it, a batch split over them, or descriptions of some.
    """
    devices = list(devices)
    if all(d.platform == "tpu" for d in devices):
        return ByHead(len(devices))
    if jnp.dtype(dtype) != jnp.bfloat16 or not all(map(is_gpu, devices)):
        return "xla"
    own = tuple(d for d in devices if d.process_index == jax.process_index())
    found = problem(shapes(config), own)
    # A program has to be the same in all of its processes.
    several = len({d.process_index for d in devices}) > 1
    return "xla" if any(gather(found) if several else [found]) else "cudnn"


def model_on(config: ModelConfig, dtype: Any, devices: Iterable[Any]) -> Pix2SeqD:
    """The network with the kernel of `best`, whose arguments these are.

    On TPUs its images are cut into strips where they are few.
    """
    kernel = best(config, dtype, devices)
    strips = Strips(kernel.devices) if isinstance(kernel, ByHead) else None
    return Pix2SeqD(config, dtype=jnp.dtype(dtype), attention=kernel, strips=strips)


def is_gpu(device: Any) -> bool:
    """Whether a device, or a description of one, is of a GPU."""
    return device.platform == "gpu"


def shapes(config: ModelConfig) -> tuple[Shape, ...]:
    """Of each kind of attention in a model."""
    encoder, decoder = config.encoder, config.decoder
    stride = 4 * config.resnet.stem_stride
    tokens = math.prod(side // stride for side in config.image_size)
    stride = decoder.in_strides * 2 ** (len(decoder.channel_multipliers) - 1)
    queries = math.prod(side // stride for side in config.mask_size) + 1
    heads = decoder.transformer_dim // decoder.head_dim, decoder.head_dim
    found = [(queries, queries, *heads)]
    if "cross_attention" in config.conditioning:
        found.append((queries, tokens, *heads))
    if config.conditioning and encoder.num_layers:
        heads = encoder.num_heads, encoder.dim // encoder.num_heads
        found.append((tokens, tokens, *heads))
    return tuple(found)


@functools.cache
def problem(shapes: tuple[Shape, ...], devices: tuple[Any, ...]) -> str:
    """Why cuDNN's kernel is not to be had on some devices; '' if it is."""
    reason = ""
    try:
        for shape in shapes:
            found = error("cudnn", shape, devices)
            if not found < TOLERANCE:  # nor if it is no number
                reason = f"off by {found:.2g} for {shape}"
    except Exception as failure:  # whatever it is, XLA's kernel is there
        reason = f"{type(failure).__name__}: {failure}".splitlines()[0]
    if reason:
        logging.getLogger(__name__).warning(
            "attention is by XLA, which takes more memory and time: cuDNN's failed its "
            "check on %s: %s (docs/performance.md, Attention)",
            ", ".join(map(str, devices)),
            reason,
        )
    return reason


def error(kernel: Kernel, shape: Shape, devices: Sequence[Any]) -> float:
    """The largest error of a kernel in bfloat16, over rows of results and gradients.

    It is relative to the row's norm plus the mean one. Examples are split over the
    devices, as in every program. What is right says XLA in float32, for one head of the
    last example: its scores fit where those of all do not.
    """
    queries, keys, heads, head_dim = shape
    batch = 2 * len(devices)
    rng = np.random.default_rng(0)
    # Scores are far below 0: a key of zeros that is not masked would take the most.
    inputs = [
        rng.normal(mean, 1, (batch, length, heads, head_dim)).astype(jnp.bfloat16)
        for length, mean in ((queries, 1), (keys, -1), (keys, 0), (queries, 0))
    ]

    def run(kernel: Kernel, arrays: Any, devices: Sequence[Any]) -> Any:
        def pulled(query: Any, key: Any, value: Any, back: Any) -> Any:
            attention = functools.partial(attend, kernel=kernel)
            made, pull = jax.vjp(attention, query, key, value)
            return made, *pull(back)

        place = meshes.over_batch(meshes.make_mesh(devices))
        made = jax.jit(pulled, out_shardings=place)(*jax.device_put(arrays, place))
        return [x[-1, :, -1].astype(np.float32) for x in jax.device_get(made)]

    worst = []
    exact = [x[-1:, :, -1:].astype(np.float32) for x in inputs]
    found, expected = run(kernel, inputs, devices), run("xla", exact, devices[-1:])
    for made, right in zip(found, expected, strict=True):
        norms = np.linalg.norm(right, axis=-1)
        off = np.linalg.norm(made - right, axis=-1)
        worst.append(np.max(off / (norms + norms.mean())))
    return float(np.max(worst))
