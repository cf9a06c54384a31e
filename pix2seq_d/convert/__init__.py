"""Weights of other projects -> variables of this one's model."""
