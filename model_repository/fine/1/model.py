"""Coarse codes to fine codes: one codebook of one window per call."""

from bark_serving.triton.network_model import NetworkModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
