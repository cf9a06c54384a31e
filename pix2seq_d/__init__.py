"""Panoptic segmentation by diffusion over analog bits (Pix2Seq-D)."""

from pix2seq_d import analog_bits

__version__ = "0.1.0"

__all__ = ["__version__", "analog_bits"]
