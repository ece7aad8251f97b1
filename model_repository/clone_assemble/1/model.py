"""Tokens and codes to the arrays of a voice. See `bark_serving.cloning`."""

from bark_serving.triton.clone_models import AssembleModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
