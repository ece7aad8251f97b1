"""The command line ``bark-serve``, and what is shared by bark-serve, bark-build and the benchmarks."""
