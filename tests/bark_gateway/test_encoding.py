"""Every format streams, loses nothing, and is read without a message."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from bark_client import audio
from bark_client.sound_file import opened
from bark_gateway.encoding import open_encoder
from bark_gateway.formats import MEDIA_TYPES
from bark_gateway.speech import Coder
from tests.bark_gateway.decoded import RATE, decode, integers, messages, pcm, tone

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "north_wind.flac"
FORMATS = sorted(MEDIA_TYPES)
LOSSLESS = ("flac", "pcm", "wav")
STEP = RATE // 100  # 10 ms
MAX_WAIT_MS = 120


def encoded(
    samples: np.ndarray,
    format: str,  # noqa: A002
    *,
    sizes: list[int] | None = None,
    whole: bool = False,
) -> bytes:
    encoder = open_encoder(format, sample_rate=RATE, whole=whole)
    ends = np.cumsum(sizes or [samples.size])
    parts = [encoder.feed(part) for part in np.split(samples, ends) if part.size]
    return b"".join([*parts, encoder.end()])


@pytest.mark.parametrize("kind", FORMATS)
def test_the_first_audio_leaves_within_120_ms_of_speech(kind: str) -> None:
    encoder = open_encoder(kind, sample_rate=RATE)
    data, waited_ms = encoder.feed(np.zeros(0, np.float32)), 0
    while decoded_seconds(data, kind) == 0:
        data += encoder.feed(tone(0.01))
        waited_ms += 10
        assert waited_ms <= MAX_WAIT_MS


@pytest.mark.parametrize("kind", ["aac", "flac", "mp3", "opus"])
def test_a_player_has_audio_to_play_before_other_requests_come_between(kind: str) -> None:
    """The first bytes leave at once, and hold less than a tenth of a second."""

    async def begin() -> bytes:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        others = asyncio.create_task(other())
        await asyncio.sleep(0)
        before = turns
        parts = Coder(format=kind, speed=1.0, sample_rate=RATE).feed(tone(1.0))
        data = await anext(parts) + await anext(parts)
        assert turns == before == 1
        await parts.aclose()
        others.cancel()
        return data

    assert decoded_seconds(asyncio.run(begin()), kind) >= 0.2


@pytest.mark.parametrize("kind", FORMATS)
def test_no_more_than_150_ms_are_ever_held_back(kind: str) -> None:
    """What the encoder holds back is what the last bytes of a speech bring."""
    speech, encoder = tone(2.0), open_encoder(kind, sample_rate=RATE)
    data = b"".join(encoder.feed(speech[start : start + STEP]) for start in range(0, speech.size, STEP))
    assert decoded_seconds(data, kind) >= 2.0 - 0.15


def decoded_seconds(data: bytes, format: str) -> float:  # noqa: A002
    try:
        return decode(data, format=format).size / RATE
    except av.FFmpegError:  # nothing to decode yet
        return 0.0


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_lossless_format_gives_back_every_sample(kind: str) -> None:
    speech = tone(1.0371)
    assert np.array_equal(integers(decode(encoded(speech, kind), format=kind)), audio.integers(speech))


@pytest.mark.parametrize("kind", sorted(set(FORMATS) - set(LOSSLESS)))
@pytest.mark.parametrize("seconds", [0.013, 0.5, 1.0371])
def test_a_lossy_format_keeps_the_tail(kind: str, seconds: float) -> None:
    """The speech ends with a tone of another height; it is there after decoding, as loud as it was."""
    tail = tone(0.15, hertz=880)
    heard = decode(encoded(np.concatenate([tone(seconds), tail]), kind), format=kind)
    spectrum = np.abs(np.fft.rfft(heard[-int(0.25 * RATE) :], n=RATE))
    assert heard.size >= tail.size + tone(seconds).size
    assert abs(int(np.argmax(spectrum[600:1200])) + 600 - 880) < 10
    assert np.sqrt((heard**2).sum()) == pytest.approx(np.sqrt((tone(seconds + 0.15) ** 2).sum()), rel=0.1)


@pytest.mark.parametrize("kind", sorted(set(FORMATS) - {"wav", "pcm"}))
def test_ffmpeg_reads_a_file_without_a_message(kind: str) -> None:
    data = encoded(tone(1.0), kind)
    with messages() as said:
        decode(data, format=kind)
    # What ffprobe says of every file in these two formats: they have no header that could hold a length.
    assert [one for one in said if "Estimating duration from bitrate" not in one] == []


@pytest.mark.parametrize("kind", ["mp3", "opus", "aac"])
def test_speech_has_about_as_many_bits_as_is_documented(kind: str) -> None:
    """Real speech, because tones and noise take other numbers of bits. 24 kHz, as Bark's."""
    with SPEECH.open("rb") as file, opened(file) as sound:
        speech = np.concatenate([block[0] for _, block in sound.blocks()])
        once = np.interp(np.arange(0, speech.size, sound.rate / RATE), np.arange(speech.size), speech)
    long = np.tile(once, 4)[: 25 * RATE].astype(np.float32)
    assert len(encoded(long, kind)) * 8 / 25 == pytest.approx(64_000, rel=0.1)


def test_a_wav_says_that_it_goes_on_until_its_end() -> None:
    data = encoded(tone(1.0), "wav")
    assert data[:4] == b"RIFF" and data[40:44] == b"\xff\xff\xff\xff"
    assert data[44:] == pcm(tone(1.0))


@pytest.mark.parametrize("kind", ["flac", "mp3", "opus", "wav"])
def test_a_whole_file_says_how_long_it_is(kind: str) -> None:
    """Readers take no sample more or less, and an MP3 begins when the speech does."""
    speech = tone(1.0371)
    data = encoded(speech, kind, whole=True, sizes=[1000])
    heard, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert (heard.size, rate) == (speech.size, RATE)
    assert decode(data, format=kind).size == speech.size
    assert np.abs(heard - speech).mean() < 0.01


@pytest.mark.parametrize(
    ("kind", "before_ms", "least_ms", "most_ms"),
    [
        ("mp3", 46, 48, 72),
        ("aac", 43, 43, 86),
        ("opus", 0, 0, 0),
        ("flac", 0, 0, 0),
        ("wav", 0, 0, 0),
        ("pcm", 0, 0, 0),
    ],
)
@pytest.mark.parametrize("size", [RATE, RATE + 199, RATE + 700])
def test_a_stream_is_as_late_and_as_much_longer_as_is_documented(
    kind: str, before_ms: int, least_ms: int, most_ms: int, size: int
) -> None:
    click = np.zeros(size, np.float32)
    click[RATE // 2 : RATE // 2 + 48] = 0.9
    heard = decode(encoded(click, kind), format=kind)
    assert abs(int(np.argmax(np.abs(heard))) - RATE // 2 - before_ms * RATE // 1000) < 100
    assert least_ms - 1 <= (heard.size - size) * 1000 / RATE <= most_ms


@pytest.mark.parametrize("kind", FORMATS)
def test_a_whole_file_holds_what_a_stream_holds(kind: str) -> None:
    speech = tone(0.7)
    heard, streamed = decode(encoded(speech, kind, whole=True), format=kind), decode(encoded(speech, kind), format=kind)
    late = streamed.size - heard.size if kind == "mp3" else 0  # a stream can't say what decoders should leave out
    at = int(np.argmin([np.abs(streamed[start:][: heard.size] - heard).max() for start in range(late + 1)]))
    assert np.allclose(streamed[at:][: heard.size], heard, atol=1e-3)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_file_does_not_depend_on_the_size_of_the_pieces(kind: str) -> None:
    speech = tone(0.7)
    pieces, whole = encoded(speech, kind, sizes=[1, 479, 480, 4000]), encoded(speech, kind)
    assert np.array_equal(decode(pieces, format=kind), decode(whole, format=kind))


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(RATE // 50, RATE // 5),
    seed=st.integers(0, 99),
    loudness=st.sampled_from([0.0, 1e-4, 0.5, 1.0, 3.0]),
    format=st.sampled_from(FORMATS),
)
def test_any_noise_can_be_encoded(count: int, seed: int, loudness: float, format: str) -> None:  # noqa: A002
    speech = (loudness * np.random.default_rng(seed).uniform(-1, 1, count)).astype(np.float32)
    heard = decode(encoded(speech, format), format=format)
    assert heard.size >= speech.size
    if format in LOSSLESS:
        assert np.array_equal(integers(heard), audio.integers(speech))
