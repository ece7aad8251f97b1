"""The voices of a server, opened the same way by every model that uses them."""

from __future__ import annotations

from bark_serving.triton.tensors import Parameters
from bark_serving.voices import VoiceLibrary, VoiceStore


def open_library(parameters: Parameters) -> VoiceLibrary:
    """The voices that users keep, the bundle's, and those of the folders in ``voices``."""
    bundle = parameters.bundle()
    store = VoiceStore(
        parameters.path("voice_store"),
        max_voices=parameters.number("max_voices"),
        max_bytes=parameters.number("max_voice_bytes"),
    )
    return VoiceLibrary([bundle.voices, *parameters.paths("voices")], spec=bundle.spec, store=store)
