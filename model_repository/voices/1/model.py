"""The voices that this server has. See `bark_serving.voices`."""

from bark_serving.triton.voices_model import VoicesModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
