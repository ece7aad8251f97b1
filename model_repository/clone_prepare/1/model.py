"""A clip of speech to what HuBERT and the codec take. See `bark_serving.voices.cloning`."""

from bark_serving.triton.clone_models import PrepareModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
