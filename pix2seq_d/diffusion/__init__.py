"""Diffusion over analog bits: schedules, corruption, losses and samplers."""
