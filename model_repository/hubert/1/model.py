"""Audio to semantic tokens."""

from bark_serving.triton.network_model import NetworkModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
