"""Refuses to clone where the checkpoint has no HuBERT. Where it has one, `clone_voice` is an ensemble."""

from bark_serving.triton.clone_models import NoCloningModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
