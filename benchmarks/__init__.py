"""One command for each figure of the README measures it again: ``python -m benchmarks --help``."""
