"""Settings of one gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bark_client.protocol import SAMPLE_RATE

DEFAULT_PORT: Final = 8080
DEFAULT_SERVER: Final = "localhost:8001"
MODELS: Final = ("bark", "tts-1", "tts-1-hd")  #: names of the model; the last two because many programs offer no other
CHARACTER_BYTES: Final = 12  #: of a character in JSON, at most: an emoji is \uXXXX twice
FIELDS_BYTES: Final = 16 << 10  #: for what stands around a text or a recording
LEAST_BODY_BYTES: Final = 1 << 20  #: so that a text which is a little too long hears how long it may be
CHARACTER_S: Final = 0.2  #: of audio for a character: 0.07 s are usual, 0.1 s is slow, and the slowest pace is 0.5
PAUSES_S: Final = 600.0  #: of a text, at that pace: its tags may ask for 300 s
SECOND_BYTES: Final = 2 * SAMPLE_RATE  #: of 16-bit samples


@dataclass(frozen=True)
class Settings:
    """What a gateway may do, and where its servers are. Sizes are in bytes, times in seconds."""

    servers: tuple[str, ...] = (DEFAULT_SERVER,)  #: host:port of Triton's gRPC endpoints, or dns:///name:port
    models: tuple[str, ...] = MODELS  #: names that `model` may have; all mean the same
    voices: Mapping[str, str] = field(default_factory=dict)  #: other names of voices, such as alloy → joe
    cors: tuple[str, ...] = ()  #: origins whose pages may call the gateway; "*" is all
    hosts: tuple[str, ...] = ()  #: public names of the gateway; without keys, it is refused under other ones
    max_active: int = 64  #: requests that each server gets at once
    max_queued: int = 256  #: requests that wait for one of those
    max_characters: int = 20_000  #: of one text
    max_items: int = 32  #: of one batch
    max_upload_bytes: int = 25 << 20  #: of a recording
    body_s: float = 300.0  #: that a body may take to arrive
    max_sockets: int = 1_000  #: WebSockets at once
    max_voice_requests: int = 4  #: uploads that are read at once
    socket_idle_s: float = 300.0  #: a WebSocket whose client says nothing for so long is closed
    send_timeout_s: float = 60.0  #: a client that takes no audio for so long has left
    connect_timeout_s: float = 0.8  #: to keep trying to reach a server
    stream_answer_s: float = 300.0  #: until the next audio
    grace_s: float = 10.0  #: that running requests get to end when the gateway is told to stop
    lost_s: float = 5.0  #: the running requests of a server that says nothing for so long count as lost
    shared_voices_s: float = 10.0  #: until all servers see a change of the voice store that they share

    @property
    def max_text_bytes(self) -> int:
        """Of a body, or a message of a WebSocket, with one text."""
        return self._json_bytes(texts=1)

    @property
    def max_batch_bytes(self) -> int:
        """Of a body with several texts."""
        return self._json_bytes(texts=self.max_items)

    @property
    def max_take_bytes(self) -> int:
        """Of the samples that the page has made a file of: what the longest text usually has, as slow as may be."""
        return round((self.max_characters * CHARACTER_S + PAUSES_S) * SECOND_BYTES)

    def _json_bytes(self, *, texts: int) -> int:
        return max(LEAST_BODY_BYTES, texts * (self.max_characters * CHARACTER_BYTES + FIELDS_BYTES))
