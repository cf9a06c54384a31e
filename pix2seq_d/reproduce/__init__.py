"""The tables of the paper as trainings and evaluations of this project."""
