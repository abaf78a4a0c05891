"""The laboratory: data sets, the benchmark, and speed, run from a checkout."""
