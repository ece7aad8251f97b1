"""The formats of audio that a client may ask for, and how FFmpeg is told to write them.

Each one streams. What lies between a sample that goes in and its bytes that come out is at most 120 ms:

- `page_duration`: an Ogg page of each packet. The default holds two seconds back.
- `reservoir=0`: each MP3 frame stands alone. With the bit reservoir a frame waits for later ones.
- `frame_size` of FLAC: frames of 20 ms. The default waits for 4608 samples, 192 ms at 24 kHz.
- `compression_level` of MP3 and Opus takes half the processor time of the default. With it, Opus at 64 kbit/s is 2.4 dB
  from the speech (log spectra of tests/data/speech), and without it 2.3 dB.
- A stream has nothing that would need a seek: no Xing header, no length of a FLAC, no padding for later tags. The
  length of a FLAC is 0, "not known". A length that is too large would not help: libsndfile 1.2.2 fails at the end of
  such a file, too, and players would show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Format = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
DEFAULT_FORMAT: Final = "mp3"  #: OpenAI's
BIT_RATE: Final = 64_000  #: bit/s of the lossy formats


_AT_ONCE: Final = {"flush_packets": "1"}


@dataclass(frozen=True)
class Coding:
    """How FFmpeg writes a format."""

    container: str
    codec: str
    sample_format: Literal["flt", "fltp", "s16"]
    container_options: Mapping[str, str] = field(default_factory=dict)
    stream_options: Mapping[str, str] = field(default_factory=lambda: _AT_ONCE)  #: of the container, in a stream
    codec_options: Mapping[str, str] = field(default_factory=dict)
    lossy: bool = True
    header_alone: bool = False  #: the first bytes are a header without audio


CODINGS: Final[Mapping[str, Coding]] = {
    "mp3": Coding(
        "mp3",
        "libmp3lame",
        "fltp",
        {"id3v2_version": "0"},
        {**_AT_ONCE, "write_xing": "0"},
        {"reservoir": "0", "compression_level": "7"},
    ),
    "opus": Coding(
        "ogg",
        "libopus",
        "flt",
        {"page_duration": "20000"},
        codec_options={"compression_level": "3"},
        header_alone=True,
    ),
    "aac": Coding("adts", "aac", "fltp"),
    "flac": Coding(
        "flac",
        "flac",
        "s16",
        {"metadata_header_padding": "0"},
        codec_options={"frame_size": "480"},
        lossy=False,
        header_alone=True,
    ),
}  # fmt: skip

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg; codecs=opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm; rate={rate}; channels=1",
}
