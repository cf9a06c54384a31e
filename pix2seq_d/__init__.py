"""Panoptic segmentation by diffusion over analog bits (Pix2Seq-D)."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pix2seq_d import analog_bits
    from pix2seq_d.inference.result import Result
    from pix2seq_d.inference.stream import Stream, StreamState
    from pix2seq_d.segmenter import Segmenter

__version__ = "0.1.0"

_MODULES = {
    "Result": "pix2seq_d.inference.result",
    "Segmenter": "pix2seq_d.segmenter",
    "Stream": "pix2seq_d.inference.stream",
    "StreamState": "pix2seq_d.inference.stream",
}

__all__ = ["Result", "Segmenter", "Stream", "StreamState", "__version__", "analog_bits"]


def __getattr__(name: str) -> Any:
    # Loaded when it is used: files are scored and checked without JAX.
    if name == "analog_bits":
        return importlib.import_module("pix2seq_d.analog_bits")
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
