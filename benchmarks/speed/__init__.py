"""How the benchmarks measure, compare revisions, and print (benchmarks/README.md)."""
