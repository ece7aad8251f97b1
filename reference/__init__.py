"""Other implementations of Bark on our bundles' weights. Tests compare with them; benchmarks measure them."""
