"""Clips to clone from: what is read, and what is refused with which advice."""

from __future__ import annotations

import io
import math
import os
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bark_client import InvalidRequest, audio, recording


def tone(seconds: float, rate: int) -> np.ndarray:
    return (0.5 * np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 440 / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_files_of_every_usual_rate_are_read_as_they_are(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "x.wav", tone(1.5, rate), rate)
    clip = recording.read(tmp_path / "x.wav")
    assert (clip.sample_rate, clip.samples.shape, clip.samples.dtype) == (rate, (1, int(1.5 * rate)), np.float32)
    assert clip.seconds == 1.5
    np.testing.assert_allclose(clip.samples[0], tone(1.5, rate), atol=1e-4)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff", "au"])
def test_whatever_libsndfile_reads_is_read(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / f"x.{suffix}", np.stack([tone(2, 24_000)] * 2, axis=1), 24_000)
    clip = recording.read(str(tmp_path / f"x.{suffix}"))
    assert clip.samples.shape[0] == 2
    assert clip.seconds == pytest.approx(2, abs=0.1)
    assert np.abs(clip.samples[:, 12_000:36_000]).max() == pytest.approx(0.5, abs=0.03)


def test_open_files_are_read_also_from_a_player_s_endless_wav() -> None:
    data = audio.endless_wav_header(sample_rate=24_000) + audio.pcm16(tone(2, 24_000))
    clip = recording.read(io.BytesIO(data))
    assert clip.seconds == 2
    np.testing.assert_allclose(clip.samples[0], tone(2, 24_000), atol=1e-4)


def wav_that_promises(size: int | None, *, seconds: float = 2) -> bytes:
    """A WAV file whose header states so many bytes of samples; None: those that it has."""
    file = io.BytesIO()
    soundfile.write(file, tone(seconds, 24_000), 24_000, format="WAV", subtype="PCM_16")
    data = file.getvalue()
    at = data.index(b"data") + 4
    return data if size is None else data[:at] + struct.pack("<I", size) + data[at + 4 :]


@pytest.mark.parametrize("size", [None, 0, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x7FFF_F000, 0x7FFF_0000])
def test_a_whole_file_and_one_from_a_pipe_have_no_warning(size: int | None) -> None:
    clip = recording.read(io.BytesIO(wav_that_promises(size)))
    assert clip.seconds == 2 and clip.warnings == ()


@pytest.mark.parametrize("form", ["PCM_16", "FLOAT", "ULAW", "IMA_ADPCM", "FLAC"])
def test_a_file_that_ends_before_its_header_says_so_has_a_warning(tmp_path: Path, form: str) -> None:
    kind = {"FLAC": ("FLAC", "PCM_16")}.get(form, ("WAV", form))
    path = tmp_path / "x.sound"
    noise = np.random.default_rng(0).normal(size=24_000 * 6, scale=0.1)
    soundfile.write(path, noise, 24_000, format=kind[0], subtype=kind[1])
    assert recording.read(path).warnings == ()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    clip = recording.read(path)
    [warning] = clip.warnings
    words = rf"{path} was cut off: its header promises 6\.[01] s of sound, and it ends at (2\.9|3\.[01]) s\."
    assert re.fullmatch(words, warning)
    assert recording.read(path, duration=1.5).warnings == (), "this part is whole"


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int8])
def test_integer_samples_are_scaled_to_one(dtype: Any) -> None:
    full = np.iinfo(dtype).min
    clip = recording.read((np.full(16_000, full, dtype=dtype), 16_000))
    np.testing.assert_array_equal(clip.samples, np.full((1, 16_000), -1, dtype=np.float32))


def test_channels_are_found_on_either_axis_and_lists_will_do() -> None:
    stereo = np.stack([tone(1, 8_000), -tone(1, 8_000)])
    for samples in (stereo, stereo.T, stereo.T.tolist()):
        np.testing.assert_allclose(recording.read((samples, 8_000)).samples, stereo, atol=1e-7)


def test_a_part_of_a_long_file_is_read_alone(tmp_path: Path) -> None:
    ramp = np.linspace(-1, 1, 8_000 * 600).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", ramp, 8_000, subtype="FLOAT")
    clip = recording.read(tmp_path / "long.wav", start=300, duration=12)
    np.testing.assert_array_equal(clip.samples[0], ramp[300 * 8_000 : 312 * 8_000])
    rest = recording.read(tmp_path / "long.wav", start=590, duration=12)
    assert rest.seconds == 10, "what there is of it"


@pytest.mark.parametrize(
    ("seconds", "part", "sentence"),
    [
        (0.5, {}, "0.50 s of sound; a voice is cloned from 1 to 30 s, and 5 to 12 s of one person's clear speech"),
        (31.0, {}, "31.0 s of sound; a voice is cloned from 1 to 30 s: pick a part with start and duration"),
        (60.0, {"start": 5}, "55.0 s of sound"),
        (60.0, {"start": 59.5}, "0.50 s of sound"),
        (60.0, {"start": 61}, "it ends at 60.0 s, before the start of 61 s"),
        (5.0, {"start": -3}, "^start: expected seconds from 0 on, not -3$"),
        (5.0, {"start": math.inf, "duration": 2}, "^start: expected seconds from 0 on, not inf$"),
        (5.0, {"start": float("nan")}, "^start: expected seconds from 0 on, not nan$"),
        (5.0, {"duration": 0}, "^duration: expected seconds above 0, not 0$"),
        (5.0, {"start": 1, "duration": math.inf}, "^duration: expected seconds above 0, not inf$"),
    ],
)
def test_too_short_and_too_long_are_refused_with_advice(
    tmp_path: Path, seconds: float, part: dict[str, float], sentence: str
) -> None:
    samples = tone(seconds, 8_000)
    soundfile.write(tmp_path / "x.wav", samples, 8_000)
    for source in (tmp_path / "x.wav", (samples, 8_000)):
        with pytest.raises(InvalidRequest, match=sentence):
            recording.read(source, **part)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("gone.wav", r"gone\.wav: no such file"),
        (".", "a folder; give the path of one recording"),
        ("text.wav", r"text\.wav: not a sound file.*ffmpeg -i text\.wav clip\.wav"),
        ("samples.raw", r"samples\.raw: not a sound file"),
        ((np.zeros(0), 8_000), "the samples: expected floats"),
        ((np.zeros((2, 2, 2)), 8_000), "the samples: expected floats"),
        ((np.zeros(9_000, dtype=np.uint8), 8_000), "not uint8"),
        ((np.full(9_000, np.nan), 8_000), "are NaN or infinite; record or export it again"),
        (
            "very loud.wav",
            r"very loud\.wav: a peak of 86\.9; full scale is 1, and a clip has at most 8: make it quieter first: "
            r"ffmpeg -i 'very loud\.wav' -af volume=1/87 quieter\.wav$",
        ),
        ((np.full(9_000, 20_000.0), 8_000), "the samples: a peak of 20000; .* at most 8: divide them by 20000$"),
        ((np.zeros(9_000), 8_000.0), "rate: expected a whole number"),
        ((np.zeros(9_000), 7_999), "its sample rate is 7999 Hz; a clip needs 8000 to 192000 Hz"),
        ((np.zeros(300_000), 192_001), "its sample rate is 192001 Hz"),
        ((np.zeros(9_000), 8_000, 1), "a pair"),
    ],
)
def test_what_is_no_clip_is_refused_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Any, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.wav").write_text("hello")
    Path("samples.raw").write_bytes(bytes(99_999))
    soundfile.write("very loud.wav", np.float32(86.9) * np.sign(tone(2, 8_000)), 8_000, subtype="FLOAT")
    with pytest.raises(InvalidRequest, match=sentence):
        recording.read(source)


@pytest.mark.parametrize("peak", [1.02, 8.0])
def test_floats_somewhat_above_full_scale_are_taken_as_they_are(tmp_path: Path, peak: float) -> None:
    samples = (peak * np.sign(tone(2, 8_000))).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", samples, 8_000, subtype="FLOAT")
    for source in (tmp_path / "x.wav", (samples, 8_000)):
        np.testing.assert_array_equal(recording.read(source).samples[0], samples)


def test_a_peak_just_above_the_limit_is_shown_above_it() -> None:
    peak = float(np.nextafter(np.float32(8), np.float32(9)))
    with pytest.raises(InvalidRequest, match=f"a peak of {peak!r}; .* at most 8: divide them by 9$"):
        recording.read((np.full(9_000, peak), 8_000))


@pytest.mark.parametrize(
    ("name", "given"), [("-a.wav", "./-a.wav"), ("a:b.wav", "./a:b.wav"), ("a b.wav", "'a b.wav'")]
)
def test_the_command_of_a_refusal_takes_the_name_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (b"hello", loud_wav()):
        Path(name).write_bytes(content)
        with Path(name).open("rb") as file:
            for source in (name, Path(name), file):
                with pytest.raises(InvalidRequest, match=re.escape(f"ffmpeg -i {given} ")):
                    recording.read(source)


def test_a_recording_without_a_path_is_refused_without_a_command(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content, remedy in (
        (b"hello", "convert it to WAV first"),
        (loud_wav(), "make it quieter by a factor of 87 first"),
    ):
        path.write_bytes(content)
        with os.fdopen(os.open(path, os.O_RDONLY), "rb") as without_name:
            for source in (io.BytesIO(content), without_name):
                with pytest.raises(InvalidRequest, match=f"{remedy}$") as refused:
                    recording.read(source)
                assert "ffmpeg" not in str(refused.value)


def loud_wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.float32(86.9) * np.sign(tone(2, 8_000)), 8_000, format="WAV", subtype="FLOAT")
    return file.getvalue()
