"""The metrics as tasks: items to score one by one, in any process, then the outcome.

A task knows no flags and prints nothing; `pool.scores` scores its items.
"""
