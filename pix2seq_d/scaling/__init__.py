"""What recipes take on slices and clusters that are not here: estimates, no runs."""
