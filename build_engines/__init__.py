"""Checkpoints to bundles, and bundles to engines. Runs before serving; most of it needs torch."""

from bark_serving import __version__

__all__ = ["__version__"]
