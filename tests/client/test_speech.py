"""What a speech can do once it is there: files, notebook, voice, picture."""

from __future__ import annotations

import base64
import io
import os
import re
import resource
import struct
import sys
import threading
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bark_client import InvalidRequest, MissingExtra, Speech, StageTime, Timings, Voice, audio
from bark_client.cli import picture
from bark_client.voice import resolve

RATE = 24_000


def make_speech(*, seconds: float = 0.5, text: str = "Hello.") -> Speech:
    times = np.arange(int(seconds * RATE)) / RATE
    samples = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    stages = {"semantic": StageTime(1.0, 2, 30, "tokens")}
    return Speech(text, samples, RATE, 7, Timings(stages, 2.0, 1.0, seconds), sentence_starts=(0.0, seconds / 2))


@pytest.mark.parametrize(
    ("suffix", "tolerance"), [(".wav", 1e-4), (".WAV", 1e-4), (".flac", 1e-4), (".ogg", 0.1), (".mp3", 0.1)]
)
def test_every_format_is_read_back_as_the_same_sound(tmp_path: Path, suffix: str, tolerance: float) -> None:
    speech = make_speech()
    path = speech.save(tmp_path / f"hello{suffix}")
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    assert abs(samples.size - speech.samples.size) <= 2400  # mp3 pads to its frames
    middle = slice(4000, 8000)
    spectrum = np.abs(np.fft.rfft(samples[middle] * np.hanning(4000)))
    assert np.argmax(spectrum) * RATE / 4000 == pytest.approx(440, abs=6)
    assert np.abs(samples[middle]).max() == pytest.approx(0.5, abs=max(tolerance, 0.001))


def test_another_suffix_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"x\.aac'.*\.wav, \.flac, \.ogg, \.mp3"):
        make_speech().save(tmp_path / "x.aac")
    with pytest.raises(InvalidRequest, match=r"\.wav"):
        make_speech().save(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_a_file_object_gets_the_format_that_is_said(tmp_path: Path, kind: str) -> None:
    speech = make_speech()
    buffer, expected = io.BytesIO(b"mail"), soundfile.read(speech.save(tmp_path / f"x.{kind}"))[0]
    buffer.seek(4)
    assert speech.save(buffer, format=kind) is None  # type: ignore[func-returns-value]
    assert not buffer.closed
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(buffer.getvalue()[4:]))[0], expected)
    assert speech.save(tmp_path / "upload", format=kind.upper()) == tmp_path / "upload"
    np.testing.assert_array_equal(soundfile.read(tmp_path / "upload")[0], expected)


def test_an_unbuffered_pipe_gets_a_whole_file() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    received = bytearray()

    def read() -> None:
        with os.fdopen(reading, "rb") as pipe:
            received.extend(pipe.read())

    reader = threading.Thread(target=read)
    reader.start()
    speech = make_speech(seconds=10)  # longer than the buffer of a pipe
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        speech.save(pipe, format="wav")
    reader.join()
    assert soundfile.read(io.BytesIO(received))[0].size == 10 * RATE


def test_a_file_object_that_cannot_take_it_is_said_how(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="format: say one of wav, flac, ogg, mp3; a file object has no suffix"):
        make_speech().save(io.BytesIO())  # type: ignore[call-overload]
    with pytest.raises(InvalidRequest, match="format: 'aac' is not one of wav, flac, ogg, mp3"):
        make_speech().save(io.BytesIO(), format="aac")
    with (tmp_path / "x.wav").open("w") as text, pytest.raises(InvalidRequest, match="mode 'wb'"):
        make_speech().save(text, format="wav")


def test_a_file_that_cannot_be_saved_whole_is_deleted_and_it_is_said(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        for name in ("x.wav", "x.flac"):
            with pytest.raises(OSError, match="File too large; nothing was kept"):
                make_speech().save(tmp_path / name)
        with pytest.raises(OSError, match="nothing was kept"):
            Voice(np.arange(9000), np.ones((2, 5), dtype=int), np.ones((8, 5), dtype=int)).save(tmp_path / "me.npz")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_long_speech_is_saved_as_ogg_in_full(tmp_path: Path) -> None:
    path = make_speech(seconds=240).save(tmp_path / "long.ogg")
    assert soundfile.info(path).frames == 240 * RATE


def test_too_loud_samples_are_clipped_and_not_wrapped(tmp_path: Path) -> None:
    loud = Speech("x", np.array([2.0, -2.0, 0.5], dtype=np.float32), RATE, 0, Timings())
    samples, _ = soundfile.read(loud.save(tmp_path / "x.wav"), dtype="float32")
    np.testing.assert_allclose(samples, [1, -1, 0.5], atol=1e-4)
    assert np.frombuffer(audio.pcm16(loud.samples), dtype="<i2").tolist() == [32767, -32767, 16384]


def test_speech_without_a_sample_can_still_be_saved_and_shown(tmp_path: Path) -> None:
    silent = Speech("x", np.zeros(0, dtype=np.float32), RATE, 0, Timings())
    assert soundfile.info(silent.save(tmp_path / "x.wav")).frames == 0
    assert "<audio" in silent._repr_html_()
    assert np.isnan(silent.timings.real_time_factor)


def test_a_notebook_shows_a_player_with_the_audio_in_it() -> None:
    page = make_speech(text="<b>bold</b> & brave")._repr_html_()
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; brave" in page
    found = re.search(r'<audio controls[^>]* src="data:audio/wav;base64,([^"]+)"', page)
    assert found
    with wave.open(io.BytesIO(base64.b64decode(found.group(1)))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE, 1, RATE // 2)


def test_the_header_of_an_endless_wav_is_one_that_readers_accept() -> None:
    data = audio.endless_wav_header(sample_rate=RATE) + audio.pcm16(np.full(100, 0.5, dtype=np.float32))
    assert struct.unpack("<I", data[40:44]) == (0xFFFFFFFF,)
    samples, rate = soundfile.read(io.BytesIO(data))
    assert rate == RATE
    np.testing.assert_allclose(samples, 0.5, atol=1e-4)


def test_a_voice_comes_back_from_its_file_and_reads_as_suno_s(tmp_path: Path) -> None:
    voice = Voice(np.arange(9), np.ones((2, 5), dtype=np.int64), np.full((8, 5), 3, dtype=np.uint16))
    path = voice.save(tmp_path / "me.npz")
    again = Voice.load(path)
    assert again.frames == 5
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays) == {"semantic_prompt", "coarse_prompt", "fine_prompt"}
        for name in arrays:
            np.testing.assert_array_equal(arrays[name], getattr(voice, name))
            np.testing.assert_array_equal(arrays[name], getattr(again, name))
    with pytest.raises(InvalidRequest, match=r"must be \.npz"):
        voice.save(tmp_path / "me.wav")


def test_a_voice_file_with_a_pickle_in_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.npz"
    np.savez(path, semantic_prompt=np.array([object()]), coarse_prompt=[[1]], fine_prompt=[[1]])
    with pytest.raises(InvalidRequest, match=r"evil\.npz: not a readable \.npz"):
        Voice.load(path)


def test_a_bomb_of_a_voice_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, semantic_prompt=np.zeros(10_000_000, dtype=np.int32), coarse_prompt=[[1]], fine_prompt=[])
    assert path.stat().st_size < 100_000
    with pytest.raises(
        InvalidRequest, match=r"bomb\.npz: semantic_prompt\.npy has 40,000,128 bytes; an array of a voice"
    ):
        Voice.load(path)


def test_a_voice_file_that_promises_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i4", "fortran_order": False, "shape": (10**13,)})
    with zipfile.ZipFile(tmp_path / "liar.npz", "w") as archive:
        archive.writestr("semantic_prompt.npy", header.getvalue())
        archive.writestr("coarse_prompt.npy", b"")
        archive.writestr("fine_prompt.npy", b"")
    with pytest.raises(InvalidRequest, match=r"liar\.npz: not a readable \.npz file"):
        Voice.load(tmp_path / "liar.npz")


def test_a_flipped_bit_in_a_voice_file_is_found(tmp_path: Path) -> None:
    path = Voice(np.arange(9), np.ones((2, 5), dtype=int), np.ones((8, 5), dtype=int)).save(tmp_path / "x.npz")
    data = bytearray(path.read_bytes())
    data[data.index(b"NUMPY") + 130] ^= 1
    path.write_bytes(data)
    with pytest.raises(InvalidRequest, match=r"x\.npz: not a readable \.npz file \(Bad CRC"):
        Voice.load(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_voice_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.npz"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=r"odd\.npz"):
        Voice.load(path)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("joe.npz", "did you mean 'joe'? Names have no .npz"),
        ("./JOE.NPZ", "did you mean 'JOE'?"),
        ("v2\\joe.npz", "did you mean 'v2/joe'?"),
        ("v2/en_speaker_1.npz", "did you mean 'v2/en_speaker_1'?"),
        ("/gone/a/b/joe.npz", "correct the path, or give the name of a voice of the server"),
        ("../joe.npz", "correct the path"),
    ],
)
def test_a_voice_file_that_is_not_there_may_mean_a_voice_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidRequest) as caught:
        resolve(path)
    assert "no such file" in str(caught.value) and hint in str(caught.value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_that_are_whole_numbers_are_tokens(tmp_path: Path, dtype: type) -> None:
    arrays = {"semantic_prompt": np.arange(9), "coarse_prompt": np.ones((2, 5)), "fine_prompt": np.ones((8, 5))}
    np.savez(tmp_path / "floats.npz", **{name: array.astype(dtype) for name, array in arrays.items()})
    voice = Voice.load(tmp_path / "floats.npz")
    assert voice.semantic_prompt.dtype == np.int32
    assert voice.hash == Voice.from_arrays({name: array.astype(int) for name, array in arrays.items()}).hash


def test_a_bare_array_is_no_voice(tmp_path: Path) -> None:
    path = tmp_path / "array.npz"
    with path.open("wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(InvalidRequest, match=r"array\.npz"):
        Voice.load(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"semantic_prompt": np.zeros((2, 2), dtype=int)},
            "semantic_prompt: expected a non-empty integer array of 1 dim",
        ),
        ({"semantic_prompt": []}, "semantic_prompt: expected a non-empty"),
        ({"coarse_prompt": np.ones(4, dtype=int)}, "coarse_prompt: expected a non-empty integer array of 2 dimensions"),
        ({"fine_prompt": np.ones((8, 5), complex)}, "fine_prompt: expected a non-empty integer array.*complex128"),
        ({"fine_prompt": np.full((8, 5), 0.5)}, "fine_prompt: tokens must be whole numbers.*clone it again"),
        ({"fine_prompt": np.full((8, 5), np.nan)}, "fine_prompt: tokens must be whole numbers"),
        ({"fine_prompt": np.full((8, 5), 1e300)}, "fine_prompt: tokens must lie in"),
        (
            {"fine_prompt": np.ones((8, 9), int)},
            r"fine_prompt has 9 frames and coarse_prompt \d; both must have the same",
        ),
        ({"fine_prompt": np.full((8, 5), -1)}, "fine_prompt: tokens must lie in"),
        ({"fine_prompt": np.full((8, 5), 2**31)}, "fine_prompt: tokens must lie in"),
    ],
)
def test_arrays_that_cannot_be_tokens_are_refused(change: dict[str, object], sentence: str) -> None:
    good = {
        "semantic_prompt": np.arange(9),
        "coarse_prompt": np.ones((2, 5), dtype=int),
        "fine_prompt": np.ones((8, 5), dtype=int),
    }
    with pytest.raises(InvalidRequest, match=sentence):
        Voice.from_arrays({**good, **change})


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_picture_is_drawn(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    path = picture.draw(make_speech(text="It costs $5 and $6: don't typeset me"), tmp_path / f"x{suffix}")
    data = path.read_bytes()
    if suffix == ".png":
        assert data.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", data[16:24])
        assert (width, height) == (1600, 800)
    else:
        assert "don't typeset me" in data.decode() or b"<svg" in data


def test_pictures_of_silence_and_of_minutes_are_drawn_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    silence = Speech("", np.zeros(RATE, dtype=np.float32), RATE, 0, Timings())
    assert picture.draw(silence, tmp_path / "silence.png").stat().st_size > 0
    assert picture.draw(make_speech(seconds=90), tmp_path / "long.png").stat().st_size > 0
    with pytest.raises(InvalidRequest, match="no audio"):
        picture.draw(Speech("", np.zeros(0, dtype=np.float32), RATE, 0, Timings()), tmp_path / "none.png")


def test_the_spectrogram_has_a_tone_at_its_frequency_and_0_db_at_its_peak() -> None:
    decibels = picture.spectrogram(make_speech().samples, hop=256)
    assert decibels.shape == (513, 1 + 12_000 // 256)
    assert decibels.max() == pytest.approx(0, abs=1e-4)
    assert decibels.min() >= -80
    assert abs(int(np.argmax(decibels[:, 20])) * RATE / 1024 - 440) < RATE / 1024


def test_the_envelope_keeps_every_peak() -> None:
    samples = np.zeros(10_000, dtype=np.float32)
    samples[[5, 7777]] = 0.9, -0.8
    low, high = picture.envelope(samples, columns=100)
    assert low.size == high.size == 100
    assert (high.max(), low.min()) == (np.float32(0.9), np.float32(-0.8))


def test_a_missing_extra_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"pip install './client\[picture\]'"):
        picture.check("x.png")


def test_a_picture_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"x\.bmp.*\.png, \.svg, \.pdf"):
        picture.check("x.bmp")
