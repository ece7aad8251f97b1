"""Runs only where the checkpoint has no HuBERT, to say so; otherwise `clone_voice` is an ensemble."""

from bark_serving.triton.clone_models import NoCloningModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
