"""The network: image encoder, feature pyramid and mask decoder."""

from pix2seq_d.config import ModelConfig
from pix2seq_d.models.decoder import Prepared
from pix2seq_d.models.pix2seq_d import (
    Denoised,
    Features,
    Pix2SeqD,
    last_layer,
    parameter_count,
    variable_shapes,
)

__all__ = [
    "Denoised",
    "Features",
    "ModelConfig",
    "Pix2SeqD",
    "Prepared",
    "last_layer",
    "parameter_count",
    "variable_shapes",
]
