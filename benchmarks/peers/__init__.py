"""Other implementations, which the benchmarks compare with ours."""
