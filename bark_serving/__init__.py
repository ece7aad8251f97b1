"""Bark on Triton Inference Server: from engines to speech."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("bark-triton")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"
