"""The formats of audio that a client may ask for, and how FFmpeg is told to write them.

Each one streams. What lies between a sample that goes in and its bytes that come out is at most 120 ms:

- `page_duration`: an Ogg page of every 40 ms. The default holds two seconds back. A page has 28 bytes beside the audio,
  so a page of each packet, 20 ms, would add 5.6 kbit/s more.
- `vbr=constrained` of Opus: without it, speech at 24 kHz takes up to 1.5 times the bit rate.
- Bit rates: such that files have about 64 kbit/s. FFmpeg's AAC, and the pages of Ogg, take more than they are told.
- `reservoir=0`: each MP3 frame stands alone. With the bit reservoir a frame waits for later ones.
- `frame_size` of FLAC: frames of 20 ms. The default waits for 4608 samples, 192 ms at 24 kHz.
- `compression_level` of MP3 and Opus takes half the processor time of the default. With it, Opus is 3.7 dB from the
  speech (log spectra of tests/data/speech), and without it 3.5 dB; MP3 is 4.0 dB, and AAC too.
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
BIT_RATE: Final = 64_000  #: bit/s that files of the lossy formats have, about


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
    bit_rate: int | None = None  #: bit/s that the codec is told; none for a lossless one
    header_alone: bool = False  #: the first bytes are a header without audio


CODINGS: Final[Mapping[str, Coding]] = {
    "mp3": Coding(
        "mp3",
        "libmp3lame",
        "fltp",
        {"id3v2_version": "0"},
        {**_AT_ONCE, "write_xing": "0"},
        {"reservoir": "0", "compression_level": "7"},
        bit_rate=BIT_RATE,
    ),
    "opus": Coding(
        "ogg",
        "libopus",
        "flt",
        {"page_duration": "40000"},
        codec_options={"compression_level": "3", "vbr": "constrained"},
        bit_rate=60_000,
        header_alone=True,
    ),
    "aac": Coding("adts", "aac", "fltp", bit_rate=56_000),
    "flac": Coding(
        "flac",
        "flac",
        "s16",
        {"metadata_header_padding": "0"},
        codec_options={"frame_size": "480"},
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
