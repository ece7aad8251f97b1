"""Every figure that the README quotes, measured again with one command each: ``python -m benchmarks --help``."""
