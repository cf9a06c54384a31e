"""The least that the paper's network takes on an H200, and what it took.

A function is bound by arithmetic or by memory: no device needs less than
max(FLOPs / peak, bytes / bandwidth). Bytes are those of the operands and results of
products and convolutions in bfloat16, each read and written once a call, with all else
fused into them; attention's scores stay on the chip.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pix2seq_d import accelerators
from pix2seq_d.config import Config
from pix2seq_d.dry_run import flops
from pix2seq_d.evaluation import text_table
from speed import command, cost, workloads

SIZES = (256, 512, 1024)  # px of the image; masks have half the side
STEPS = 20
H200 = "H200"
H200_TB_S = 4.8  # memory bandwidth of the vendor's data sheet, 1e12 bytes/s

# Images of a call.
_TRAINING = {256: 64, 512: 16, 1024: 4}
_INFERENCE = {256: 32, 512: 8, 1024: 2}
_CPU = {256: 2, 512: 1, 1024: 1}

Record = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
      kind: of `workloads.KINDS`.
      name: for people.
      size: one of `SIZES`.
    """

    kind: str
    name: str
    size: int

    @property
    def key(self) -> str:
        """Name in the file of results."""
        return f"{self.name} {self.size}/{self.size // 2}"

    def images(self, *, cpu: bool) -> int:
        """Of a call."""
        if cpu:
            return _CPU[self.size]
        return (_TRAINING if self.kind == "train_step" else _INFERENCE)[self.size]

    def config(self, *, cpu: bool) -> Config:
        """The paper's network at this size; bfloat16, on a CPU float32."""
        return command.config_of(
            "--config=coco_panoptic:low_res",
            f"--config.model.image_size=({self.size},{self.size})",
            f"--config.model.mask_size=({self.size // 2},{self.size // 2})",
            f"--config.train.batch_size={self.images(cpu=cpu)}",
            f"--config.train.dtype={'float32' if cpu else 'bfloat16'}",
            f"--config.diffusion.num_steps={STEPS}",
        )


ROWS = tuple(
    Row(kind, name, size)
    for size in SIZES
    for kind, name in (
        ("encode", "encode"),
        ("decoder_step", "decoder step"),
        ("sample", f"encode + {STEPS} steps"),
        ("train_step", "training step"),
    )
)


def least(row: Row) -> Record:
    """{'images', 'flops', 'bytes'} of a call on an accelerator; nothing is compiled.

    Traced with this machine's kernel of attention: with cuDNN's a training step has 1 %
    fewer bytes.
    """
    config, images = row.config(cpu=False), row.images(cpu=False)
    work = workloads.abstract(row.kind, config, batch=images)
    traced = work.function.trace(*work.arguments)
    return {
        "images": images,
        "flops": cost.model_flops(row.kind, config, images=images),
        "bytes": flops.product_bytes(traced.jaxpr),
    }


def peaks_of(measured: Mapping[str, Record]) -> tuple[float, float, str]:
    """(FLOP/s, bytes/s, where they are from) of an H200.

    Args:
      measured: device kind -> {'peaks': {'product', 'bandwidth'}, ...}.
    """
    for device, record in measured.items():
        peaks = record["peaks"]
        if H200 in device and peaks["product"] and peaks["bandwidth"]:
            source = "measured: a bfloat16 product of 8192 x 8192, a copy of 2 GB"
            return 1e12 * peaks["product"], 1e12 * peaks["bandwidth"], source
    vendor = accelerators.named(H200).bf16_tflops
    return 1e12 * vendor, 1e12 * H200_TB_S, "of the vendor's data sheet"


def gpu_table(results: Mapping[str, Any]) -> str:
    """Markdown: least time of each row on an H200, and ours where it was measured.

    Args:
      results: {'least': {key: of `least`}, 'measured': {device: record}}.
    """
    peak, bandwidth, source = peaks_of(results["measured"])
    ours = next((r for d, r in results["measured"].items() if H200 in d), None)
    head = ("an image", "batch", "TFLOP", "GB", "least ms", "bound by")
    head += ("H200 ms", "ms / least", "MFU %", "ms at once")
    rows = []
    for row in ROWS:
        found = results["least"][row.key]
        images = found["images"]
        arithmetic, memory = found["flops"] / peak, found["bytes"] / bandwidth
        floor = max(arithmetic, memory) / images
        rows.append(
            [
                row.key,
                str(images),
                f"{found['flops'] / images / 1e12:.3f}",
                f"{found['bytes'] / images / 1e9:.2f}",
                f"{1e3 * floor:.2f}",
                "arithmetic" if arithmetic > memory else "memory",
                *_ours(ours, row, floor),
            ]
        )
    note = f"Peaks, {source}: {peak / 1e12:,.0f} TFLOP/s, {bandwidth / 1e12:.1f} TB/s."
    return f"{text_table.markdown(head, rows)}\n\n{note}"


def _ours(device: Record | None, row: Row, floor: float) -> list[str]:
    record = device["costs"].get(row.key) if device else None
    if record is None:
        return ["not run"] * 4
    if "error" in record:
        return [record["error"], "-", "-", "-"]
    seconds = record["seconds"]["median"] / record["images"]
    mfu = text_table.percent(record["vendor_mfu"])
    queued = record.get("queued_s")  # absent in older records
    at_once = "not run" if queued is None else f"{1e3 * queued / record['images']:.2f}"
    return [f"{1e3 * seconds:.2f}", f"{seconds / floor:.2f}", mfu, at_once]


def cpu_table(results: Mapping[str, Any]) -> str:
    """Markdown: what the development machine took, in float32."""
    device = results["measured"].get("cpu")
    head = ("a call", "images", "s, median", "fastest", "slowest", "calls", "GFLOP")
    head += ("GB moved", "GFLOP/s", "product GFLOP/s", "MB temporary", "compile s")
    rows = []
    for row in ROWS:
        record = device["costs"].get(row.key) if device else None
        if record is None:
            rows.append([row.key, *["not run"] * (len(head) - 1)])
            continue
        if "error" in record:
            rows.append([row.key, record["error"], *["-"] * (len(head) - 2)])
            continue
        seconds = record["seconds"]
        rows.append(
            [
                row.key,
                str(record["images"]),
                *(f"{seconds[name]:.2f}" for name in ("median", "low", "high")),
                str(seconds["count"]),
                f"{record['model_flops'] / 1e9:,.0f}",
                f"{record['bytes'] / 1e9:,.1f}",
                f"{record['model_flops'] / seconds['median'] / 1e9:,.0f}",
                f"{1e3 * record['product']:,.0f}",
                f"{record['temporaries'] / 1e6:,.0f}",
                f"{record['compile_s']:.0f}",
            ]
        )
    return text_table.markdown(head, rows)


def made_table(results: Mapping[str, Any]) -> str:
    """Markdown: what each device's figures were made by."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for record in results["measured"].values():
        for row in ROWS:
            made = record["costs"].get(row.key, {}).get("made")
            if made is None:
                continue
            cells = (made["devices"], made["date"], made["versions"]["jax"])
            commit = str(made["commit"])
            short = commit[:12] + "-dirty" * commit.endswith("-dirty")
            command = f"`{made['command']}`"
            rows.setdefault((*cells, short, command), []).append(row.key)
    head = ("device", "date", "jax", "commit", "command", "rows")
    cells = [[*made, ", ".join(keys)] for made, keys in rows.items()]
    return text_table.markdown(head, cells) if cells else "Nothing was measured yet."
