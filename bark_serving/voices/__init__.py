"""Voices: speaker prompts, three token arrays each, interchangeable with Suno's ``.npz`` files."""

from bark_serving.voices.entries import Entry
from bark_serving.voices.library import VoiceLibrary
from bark_serving.voices.names import check_name, is_name, language_of
from bark_serving.voices.store import VoiceStore
from bark_serving.voices.voice import ARRAYS, Voice, content_hash, voice_from_arrays

__all__ = [
    "ARRAYS",
    "Entry",
    "Voice",
    "VoiceLibrary",
    "VoiceStore",
    "check_name",
    "content_hash",
    "is_name",
    "language_of",
    "voice_from_arrays",
]
