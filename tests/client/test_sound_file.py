"""Sound files that phones, browsers, pipes and radios make: read to their end, exactly, or refused in words."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from bark_client import InvalidRequest, recording, sound_file
from bark_client.cli.voice import app
from bark_client.voice_methods import VoiceMethods

RATE = 24_000


def tone(seconds: float, *, rate: int = RATE, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * hz / rate)).astype(np.float32)


class WriteOnly:
    """What a program writes to a pipe: it cannot go back and fill in lengths."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


def encoded(
    samples: np.ndarray,
    container: str,
    codec: str,
    *,
    rate: int = RATE,
    pipe: bool = False,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> bytes:
    """A mono file that FFmpeg writes, to a pipe or to something that can seek."""
    out: Any = WriteOnly() if pipe else io.BytesIO()
    with av.open(out, "w", format=container, options=options or {}) as file:
        file.metadata.update(metadata or {})
        stream = file.add_stream(codec, rate=rate, layout="mono", options=codec_options or {})
        for start in range(0, samples.size, 4_800):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 4_800], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return bytes(out.data) if pipe else out.getvalue()


def check_tone(clip: recording.Recording, seconds: float, *, hz: float = 440.0, within: float = 0.06) -> None:
    """The whole tone is there: its length, its loudness from beginning to end, and its pitch."""
    assert clip.seconds == pytest.approx(seconds, abs=within)
    blocks = clip.samples[0][: clip.sample_rate * int(seconds)].reshape(int(seconds) * 2, -1)
    np.testing.assert_allclose(np.sqrt(np.square(blocks).mean(axis=1)), 0.5 / np.sqrt(2), rtol=0.12)
    spectrum = np.abs(np.fft.rfft(clip.samples[0]))
    assert np.argmax(spectrum) * clip.sample_rate / clip.samples.shape[1] == pytest.approx(hz, abs=1)


RECORDED = [
    ("ipod", "aac", "m4a"),
    ("mp4", "aac", "mp4"),
    ("mov", "aac", "mov"),
    ("3gp", "aac", "3gp"),
    ("webm", "libopus", "webm"),
    ("matroska", "libopus", "mka"),
    ("ogg", "libopus", "opus"),
    ("adts", "aac", "aac"),
    ("mp3", "libmp3lame", "mp3"),
]


@pytest.mark.parametrize(("container", "codec", "suffix"), RECORDED)
def test_what_phones_and_browsers_record_is_read(tmp_path: Path, container: str, codec: str, suffix: str) -> None:
    path = tmp_path / f"memo.{suffix}"
    path.write_bytes(encoded(tone(4), container, codec))
    check_tone(recording.read(path), 4)
    check_tone(recording.read(io.BytesIO(path.read_bytes())), 4)


def test_help_names_kinds_of_files_that_are_read() -> None:
    shown = CliRunner().invoke(app, ["clone", "--help"], env={"COLUMNS": "200"}).stdout
    explained = " ".join((VoiceMethods.clone_voice.__doc__ or "").split())
    assert sound_file.KINDS in shown and sound_file.KINDS in explained
    kinds = {"wav", "flac", "ogg", *(suffix for _, _, suffix in RECORDED)}
    assert kinds >= set(sound_file.KINDS.removesuffix(" and most others").split(", ")) >= {"m4a", "webm"}


@pytest.mark.parametrize(
    ("container", "codec", "options", "codec_options"),
    [
        ("flac", "flac", {}, {}),
        ("mp3", "libmp3lame", {"write_xing": "0"}, {"flags": "+qscale", "global_quality": "590"}),
        ("mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"}, {"b": "32000", "abr": "1"}),
        ("webm", "libopus", {}, {}),
        ("ogg", "libopus", {}, {}),
        ("adts", "aac", {}, {}),
        ("mp4", "aac", {"movflags": "empty_moov+default_base_moof", "frag_duration": "100000"}, {}),
        ("wav", "pcm_s16le", {}, {}),
    ],
)
def test_what_was_written_to_a_pipe_is_read_to_its_end(
    container: str, codec: str, options: dict[str, str], codec_options: dict[str, str]
) -> None:
    data = encoded(tone(9), container, codec, pipe=True, options=options, codec_options=codec_options)
    check_tone(recording.read(io.BytesIO(data)), 9, within=0.08)


def ogg(samples: np.ndarray, *, subtype: str, rate: int = RATE) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format="OGG", subtype=subtype)
    return out.getvalue()


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_chained_ogg_is_read_to_its_last_link(subtype: str) -> None:
    chain = b"".join(ogg(tone(3), subtype=subtype) for _ in range(3))
    check_tone(recording.read(io.BytesIO(chain)), 9, within=0.15)


@pytest.mark.parametrize(
    "second",
    [
        ogg(tone(3, rate=48_000), subtype="VORBIS", rate=48_000),
        ogg(np.stack([tone(3)] * 2, axis=1), subtype="VORBIS"),
        ogg(tone(3), subtype="OPUS"),
    ],
    ids=["rate", "channels", "codec"],
)
def test_a_chain_of_unlike_links_is_not_cut_in_silence(second: bytes) -> None:
    chain = ogg(tone(3), subtype="VORBIS") + second
    with pytest.raises(InvalidRequest, match=r"from 3\.0 s on, its codec, rate or number of channels is another"):
        recording.read(io.BytesIO(chain))
    assert recording.read(io.BytesIO(chain), duration=2.5).seconds == 2.5


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "PCM_32"),
        ("WAV", "FLOAT"),
        ("WAV", "DOUBLE"),
        ("WAVEX", "PCM_16"),
        ("W64", "PCM_16"),
        ("RF64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("FLAC", "PCM_24"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_files_and_parts_of_them_are_read_to_the_sample(form: str, subtype: str, channels: int) -> None:
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, (8_000 * 60, channels))
    file = io.BytesIO()
    soundfile.write(file, noise, 8_000, format=form, subtype=subtype)
    file.seek(0)
    expected = soundfile.read(file, dtype="float32", always_2d=True)[0].T
    for start, duration in ((0.0, 5.0), (31.7, 2.3001), (50.0, None), (58.9999, 30.0)):
        file.seek(0)
        clip = recording.read(file, start=start, duration=duration)
        first = round(start * 8_000)
        end = None if duration is None else first + round(duration * 8_000)
        np.testing.assert_array_equal(clip.samples, expected[:, first:end], err_msg=f"{start} {duration}")


def test_a_part_of_a_pipe_s_flac_is_exact_too() -> None:
    data = encoded(np.linspace(-0.9, 0.9, RATE * 20, dtype=np.float32), "flac", "flac", pipe=True)
    whole = recording.read(io.BytesIO(data)).samples
    part = recording.read(io.BytesIO(data), start=12.34567, duration=3.21).samples
    first = round(12.34567 * RATE)
    np.testing.assert_array_equal(part, whole[:, first : first + round(3.21 * RATE)])


def test_hours_are_not_read_to_their_end() -> None:
    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

        read1 = read

    data = io.BytesIO()
    soundfile.write(data, np.zeros(8_000 * 7_200, np.int16), 8_000, format="WAV")
    file = Counting(data.getvalue())
    assert recording.read(file, start=7_000, duration=5).seconds == 5
    assert file.count < 2_000_000, "of 115 MB"
    with pytest.raises(InvalidRequest, match=r"at least 60\d\.\d s of sound; a voice is cloned from 1 to 30 s"):
        recording.read(Counting(data.getvalue()))


def test_a_file_that_was_cut_is_read_as_far_as_it_goes() -> None:
    for container, codec in (("flac", "flac"), ("mp3", "libmp3lame"), ("webm", "libopus"), ("wav", "pcm_s16le")):
        data = encoded(tone(8), container, codec)
        clip = recording.read(io.BytesIO(data[: len(data) * 5 // 8]))
        assert clip.seconds == pytest.approx(5, abs=1), container


def test_damage_in_the_middle_is_refused_with_its_place() -> None:
    data = bytearray(
        encoded(tone(8) + 0.1 * np.random.default_rng(0).normal(size=8 * RATE).astype("f4"), "adts", "aac")
    )
    middle = len(data) // 2
    data[middle : middle + 600] = np.random.default_rng(1).bytes(600)
    with pytest.raises(InvalidRequest, match=r"it is damaged at [345]\.\d s.*convert it to WAV first$"):
        recording.read(io.BytesIO(bytes(data)))


def test_tags_in_an_old_encoding_do_no_harm() -> None:
    data = encoded(tone(2), "mp3", "libmp3lame", metadata={"title": "XXXX"}, options={"id3v2_version": "3"})
    assert b"X" in data
    check_tone(recording.read(io.BytesIO(data.replace(b"XXXX", b"\xe9\xff\xfe\xe8"))), 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.m3u8", "#EXTM3U\n#EXTINF:3,\nfile://{path}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile '{path}'\n"),
        ("session.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n"),
    ],
)
def test_a_list_that_names_other_files_opens_none_of_them(tmp_path: Path, name: str, content: str) -> None:
    soundfile.write(tmp_path / "secret.wav", tone(3), RATE)
    (tmp_path / name).write_text(content.format(path=tmp_path / "secret.wav"))
    with pytest.raises(InvalidRequest, match="not a sound file that can be read"):
        recording.read(tmp_path / name)


def test_a_film_without_sound_says_so(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "film.mp4"), "w") as file:
        stream = file.add_stream("mpeg4", rate=10, width=64, height=64, pix_fmt="yuv420p")
        for _ in range(20):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        file.mux(stream.encode(None))
    with pytest.raises(InvalidRequest, match=r"film\.mp4: not a sound file that can be read \(it holds no sound\)"):
        recording.read(tmp_path / "film.mp4")


@pytest.mark.parametrize("name", ["my clip.wav", "it's.wav", "$(rm -rf x).wav", "a;b.wav"])
def test_the_advised_command_is_one_that_a_shell_takes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("no sound")
    with pytest.raises(InvalidRequest) as caught:
        recording.read(path)
    command = str(caught.value).partition("convert it first: ")[2]
    assert shlex.split(command) == ["ffmpeg", "-i", str(path), "clip.wav"]


def test_what_cannot_seek_is_read_too() -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

    check_tone(recording.read(Stream(encoded(tone(3), "ipod", "aac"))), 3)


def test_a_sound_file_tells_its_rate() -> None:
    with sound_file.opened(io.BytesIO(encoded(tone(2, rate=16_000), "wav", "pcm_s16le", rate=16_000))) as sound:
        blocks: Iterator[sound_file.Block] = sound.blocks()
        assert sound.rate == 16_000
        assert sum(block.shape[1] for _, block in blocks) == 32_000
