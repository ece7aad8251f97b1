"""Text to speech: orchestrates the stages. See `bark_serving.speech.orchestrator`."""

from bark_serving.triton.bark_model import BarkModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
