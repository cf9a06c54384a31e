"""A trained model as one file that JAX and NumPy alone can run."""

from pix2seq_d.export.file import ExportedModel, load

__all__ = ["ExportedModel", "load"]
