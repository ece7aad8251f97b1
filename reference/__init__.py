"""Other implementations of Bark on our bundles' weights: what tests compare with, and what benchmarks race."""
