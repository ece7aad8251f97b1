"""Semantic tokens to coarse tokens, window by window. See `bark_serving.decoding`."""

from bark_serving.triton.gpt_model import GptModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
