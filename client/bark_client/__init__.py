"""Speak with a Bark server.

>>> from bark_client import BarkClient
>>> with BarkClient("localhost:8001") as bark:
...     speech = bark.speak("Hello there.", voice="joe", seed=1)
>>> speech.save("hello.flac")
"""

from bark_client.aio import AsyncBarkClient
from bark_client.client import BarkClient
from bark_client.errors import (
    BarkError,
    InvalidRequest,
    MissingExtra,
    RequestCancelled,
    RequestTimeout,
    ServerError,
    ServerUnavailable,
    SpeechFailed,
)
from bark_client.pieces import Piece
from bark_client.protocol import SpeakOptions
from bark_client.speech import Chunk, Health, Speech, StageTime, Summary, Timings
from bark_client.stream import AsyncSpeechStream, SpeechStream
from bark_client.voice import Voice, VoiceInfo, VoiceLike, VoicePreview

__version__ = "0.1.0"  #: of the client and of the server: both distributions read it here

__all__ = [
    "AsyncBarkClient",
    "AsyncSpeechStream",
    "BarkClient",
    "BarkError",
    "Chunk",
    "Health",
    "InvalidRequest",
    "MissingExtra",
    "Piece",
    "RequestCancelled",
    "RequestTimeout",
    "ServerError",
    "ServerUnavailable",
    "SpeakOptions",
    "Speech",
    "SpeechFailed",
    "SpeechStream",
    "StageTime",
    "Summary",
    "Timings",
    "Voice",
    "VoiceInfo",
    "VoiceLike",
    "VoicePreview",
    "__version__",
]
