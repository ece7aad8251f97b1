"""From Bark's weights to engines."""

from bark_serving import __version__

__all__ = ["__version__"]
