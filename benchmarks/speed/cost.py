"""What a call of a compiled function costs: time, arithmetic, bytes, memory."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import jax

from pix2seq_d import accelerators
from pix2seq_d.config import Config
from pix2seq_d.dry_run import flops, forward, hlo, memory
from pix2seq_d.training import matmul_peak, throughput
from speed.timing import Runner, Spread, Work

_WARM_UP = 2


@dataclasses.dataclass(frozen=True)
class Peaks:
    """The arithmetic that a device reaches, 1e12 FLOP/s.

    Attributes:
      product: of a plain matrix product, measured in this run; None without memory.
      vendor: bfloat16 peak of the data sheet; None where it is not known.
    """

    product: float | None
    vendor: float | None


@dataclasses.dataclass(frozen=True)
class Cost:
    """One call of a compiled function, over all devices it runs on.

    Attributes:
      name: for people.
      images: of a call.
      seconds: of single calls, each waited for.
      queued_s: seconds of a call of as many that are handed over at once.
      model_flops: arithmetic that the images need, as `model_flops` counts it.
      flops: of the traced program, loops as often as they turn, recomputation included.
      xla_flops: XLA's count of the traced program, each loop once; None where it does
        not count.
      bytes: that the compiled operations of a device read and write, loops as often as
        they turn; likewise.
      temporaries: bytes of a device that the program allocates while it runs.
      planned: bytes of a device with arguments and results.
      peak: most bytes of a device so far in this process; None where it does not say.
      compile_s: seconds of tracing and compiling, without a cache.
      mfu: model_flops a second of a device / measured product; None without one.
      vendor_mfu: the same / vendor's bfloat16 peak.
    """

    name: str
    images: int
    seconds: Spread
    queued_s: float
    model_flops: float
    flops: int
    xla_flops: float | None
    bytes: float | None
    temporaries: int
    planned: int
    peak: float | None
    compile_s: float
    mfu: float | None
    vendor_mfu: float | None


def peaks(dtype: str) -> Peaks:
    """Peaks of the first device, measured now.

    Args:
      dtype: of the product, float32 or bfloat16.
    """
    device = jax.local_devices()[0]
    known = accelerators.find(device.device_kind)
    size = 8192 if known else 2048  # a CPU takes seconds for the larger
    matmul_peak.tflops.cache_clear()  # other programs may have come or gone
    product = matmul_peak.tflops(device, dtype=dtype, size=size)
    return Peaks(product, known.bf16_tflops if known else None)


def model_flops(kind: str, config: Config, *, images: int) -> float:
    """FLOPs that a call's images need, without padding to tiles or recomputation.

    Args:
      kind: of `workloads.KINDS`.
      config: of the work.
      images: of a call.
    Source: ours; of a training step `throughput.image_flops`, of the others the forward
      passes as XLA counts them.
    """
    if kind == "train_step":
        return images * throughput.image_flops(config.model, config.diffusion)
    passes = forward.passes(config.model)
    each = {
        "encode": passes.encoder,
        "decoder_step": passes.decoder,
        "sample": forward.mask_flops(config, config.diffusion.num_steps),
    }
    return images * each[kind]


class TooLarge(RuntimeError):
    """A program needs more memory than this machine has left.

    Attributes:
      needed: bytes of arguments, results and temporaries.
    """

    def __init__(self, needed: int) -> None:
        super().__init__(f"needs {needed / 1e9:.1f} GB; give it a larger machine")
        self.needed = needed


def available() -> int | None:
    """Bytes that Linux would still give to processes; None on other systems."""
    path = Path("/proc/meminfo")
    text = path.read_text(encoding="ascii") if path.exists() else ""
    match = re.search(r"MemAvailable:\s+(\d+) kB", text)
    return None if match is None else 1024 * int(match[1])


def _require_memory(planned: memory.Memory) -> None:
    """On a CPU nothing is refused: Linux ends the process, and with it the results."""
    left = available()
    if jax.default_backend() != "cpu" or left is None:
        return
    if planned.total - planned.arguments > left:  # arguments are there
        raise TooLarge(planned.total)


def measure(
    work: Work, *, name: str, repeats: int, model_flops: float, peaks: Peaks
) -> Cost:
    """Compiles and times a function.

    Args:
      work: what to time.
      name: of the result.
      repeats: calls that are timed, after two that are not.
      model_flops: of a call.
      peaks: of this run.
    Raises:
      TooLarge: it would not fit this machine's memory; nothing was run.
    """
    runner = Runner(work)
    planned = memory.of(runner.compiled)
    _require_memory(planned)
    runner.seconds(_WARM_UP)
    seconds = Spread.of(runner.seconds(repeats))
    xla, text = runner.xla_cost(), runner.compiled.as_text()
    moved = xla["bytes"]
    rate = model_flops / seconds.median / _devices(runner.compiled) / 1e12
    peak = throughput.memory().get("peak_memory_gb")
    return Cost(
        name=name,
        images=work.images,
        seconds=seconds,
        queued_s=runner.queued_s(repeats),
        model_flops=model_flops,
        flops=flops.of(runner.traced.jaxpr),
        xla_flops=xla["flops"],
        bytes=None if moved is None else moved * hlo.loop_factor(text),
        temporaries=planned.temporaries,
        planned=planned.total,
        peak=None if peak is None else peak * 1e9,
        compile_s=runner.compile_s,
        mfu=rate / peaks.product if peaks.product else None,
        vendor_mfu=rate / peaks.vendor if peaks.vendor else None,
    )


def _devices(compiled: Any) -> int:
    """Devices that a compiled function runs on."""
    places = jax.tree.leaves(compiled.output_shardings)
    return len(places[0].device_set)
