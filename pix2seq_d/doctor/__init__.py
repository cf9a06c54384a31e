"""What is wrong with a dataset, and where: checks, counts, and their report."""
