"""Metrics on NumPy arrays, and the run that feeds them."""
