"""Tokens and codes to the arrays of a voice. See `bark_serving.voices.cloning`."""

from bark_serving.triton.clone_models import AssembleModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
