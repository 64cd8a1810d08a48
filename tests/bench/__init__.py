"""What the benchmarks judge, and that each of their scenarios runs."""
