"""The files that `bark say` writes: while they grow, after a kill, on a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import soundfile

from bark_client import audio
from tests.client.cli.processes import python_bark
from tests.client.fake_triton import CHUNK, SAMPLE_RATE, FakeTriton, hang

CHUNKS = 80  # of 0.1 s
SPOKEN_S = CHUNKS * CHUNK / SAMPLE_RATE
#: Seconds that a reader may lack while the file grows. A page of Ogg Vorbis ends when it has 4 kB of audio: this tone
#: needs 3 s for that, speech 0.7 s.
BEHIND_S = {"wav": 1.0, "flac": 1.0, "mp3": 1.0, "ogg": 3.5}


def spoken() -> np.ndarray:
    """What `hang(after_chunks=CHUNKS)` has said before it goes silent."""
    tone = np.sin(np.arange(CHUNK) * 2 * np.pi * 220 / SAMPLE_RATE)
    return np.concatenate([tone * (n + 1) / (CHUNKS + 2) for n in range(CHUNKS)]).astype(np.float32)


def seconds_of(path: Path) -> float:
    """As much of a file as can be read."""
    try:
        return float(soundfile.read(path)[0].size / SAMPLE_RATE)
    except (OSError, soundfile.SoundFileError):  # not there yet, or empty yet
        return 0.0


def wave_seconds(path: Path) -> float:
    with wave.open(str(path)) as file:
        assert len(file.readframes(1 << 30)) == 2 * file.getnframes()
        return file.getnframes() / file.getframerate()


def wait_until(condition: Callable[[], bool], *, what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)  # another process gives no event


@pytest.mark.parametrize("killer", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_leaves_files_that_play(
    triton: FakeTriton, tmp_path: Path, killer: signal.Signals
) -> None:
    files = {name: tmp_path / f"x.{name}" for name in audio.FORMATS}
    triton.plan.extend([hang(after_chunks=CHUNKS)] * len(files))
    with contextlib.ExitStack() as running:
        processes = [
            running.enter_context(python_bark("say", "Hello.", "--stream", "-o", str(path), triton=triton))
            for path in files.values()
        ]
        for name, path in files.items():
            enough = SPOKEN_S - BEHIND_S[name]
            wait_until(lambda: seconds_of(path) >= enough, what=f"{name} was behind")  # noqa: B023 - called at once
        for process in processes:
            process.send_signal(killer)
            process.wait(timeout=30)
            assert process.returncode == (-signal.SIGKILL if killer is signal.SIGKILL else 128 + signal.SIGTERM)
    for name, path in files.items():
        samples = soundfile.read(path, dtype="float32")[0]
        least = SPOKEN_S - BEHIND_S[name] if killer is signal.SIGKILL else SPOKEN_S
        assert samples.size / SAMPLE_RATE >= least, name
        if audio.FORMATS[name] == "PCM_16":
            expected = audio.integers(spoken()[: samples.size])
            np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], expected)
        else:
            assert np.sqrt(np.mean(samples**2)) == pytest.approx(np.sqrt(np.mean(spoken() ** 2)), rel=0.25)
    assert wave_seconds(files["wav"]) == pytest.approx(SPOKEN_S, abs=0.01)


def run_bark(triton: FakeTriton, *arguments: str, stdout: int | IO[bytes], **more: Any) -> tuple[int, str]:
    """Exit status and standard error."""
    with python_bark(*arguments, triton=triton, stdout=stdout, **more) as process:
        _, errors = process.communicate(timeout=120)
    assert b"Traceback" not in errors and b"ignored" not in errors, errors
    return process.returncode, errors.decode()


@pytest.mark.parametrize("stream", [[], ["--stream"]])
def test_standard_output_to_a_file_gets_its_true_length(triton: FakeTriton, tmp_path: Path, stream: list[str]) -> None:
    with (tmp_path / "x.wav").open("wb") as file:
        assert run_bark(triton, "say", "One. Two. Three.", "-o", "-", *stream, stdout=file)[0] == 0
    assert wave_seconds(tmp_path / "x.wav") == 3 * CHUNK / SAMPLE_RATE
    assert (tmp_path / "x.wav").stat().st_size == 44 + 2 * 3 * CHUNK


def test_standard_output_behind_other_bytes_of_a_file_leaves_them(triton: FakeTriton, tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb", buffering=0) as file:
        file.write(b"before")
        assert run_bark(triton, "say", "One.", "-o", "-", stdout=file)[0] == 0
        file.write(b"after")
    data = (tmp_path / "x").read_bytes()
    assert data.startswith(b"beforeRIFF") and data.endswith(b"after")
    assert data[6 + 40 : 6 + 44] == (2 * CHUNK).to_bytes(4, "little")


@pytest.mark.parametrize("target", ["a pipe", "a file opened with >>"])
def test_where_the_header_cannot_be_overwritten_it_is_endless(triton: FakeTriton, tmp_path: Path, target: str) -> None:
    if target == "a pipe":
        with python_bark("say", "One. Two.", "-o", "-", triton=triton) as process:
            data, _ = process.communicate(timeout=120)
    else:
        with (tmp_path / "x.wav").open("ab") as file:
            assert run_bark(triton, "say", "One. Two.", "-o", "-", stdout=file)[0] == 0
        data = (tmp_path / "x.wav").read_bytes()
    assert data[4:8] == data[40:44] == b"\xff" * 4
    assert len(data) == 44 + 2 * 2 * CHUNK


def test_standard_output_and_files_have_the_same_samples(bark: Any, tmp_path: Path) -> None:
    assert bark("say", "One. Two.", "-o", "x.wav").exit_code == 0
    assert bark("say", "One. Two.", "-o", "x.flac").exit_code == 0
    from_wav, from_flac = (soundfile.read(f"x.{name}", dtype="int16")[0] for name in ("wav", "flac"))
    raw = np.frombuffer(bark("say", "One. Two.", "-o", "-", "--raw").stdout_bytes, dtype="<i2")
    piped = np.frombuffer(bark("say", "One. Two.", "-o", "-").stdout_bytes[44:], dtype="<i2")
    for others in (from_flac, raw, piped):
        np.testing.assert_array_equal(others, from_wav)


def limit_files(size: int) -> Callable[[], None]:
    """For a new process: no file may become larger, in bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


LIMITS_BYTES = {"wav": 300_000, "flac": 60_000, "ogg": 12_000, "mp3": 40_000}


@pytest.mark.parametrize("kind", audio.FORMATS)
@pytest.mark.parametrize("stream", [[], ["--stream"]], ids=["whole", "stream"])
def test_a_file_that_may_not_grow_says_what_was_kept(
    triton: FakeTriton,
    tmp_path: Path,
    kind: str,
    stream: list[str],
) -> None:
    path = tmp_path / f"x.{kind}"
    limit = limit_files(LIMITS_BYTES[kind])
    text = "a. " * 100  # 10 s
    status, errors = run_bark(
        triton, "say", text, "-o", str(path), *stream, stdout=subprocess.DEVNULL, preexec_fn=limit
    )
    assert status == 1
    said = re.fullmatch(
        rf"error: can't write {re.escape(str(path))}: file too large; it keeps the first (.+) s\n", errors
    )
    assert said, errors
    assert 2 <= seconds_of(path) == pytest.approx(float(said.group(1)), abs=0.06)
    if kind in ("wav", "flac"):
        assert soundfile.info(path).frames / SAMPLE_RATE == pytest.approx(seconds_of(path))


@pytest.mark.parametrize("stream", [[], ["--stream"]], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_the_captions_of_a_file_that_may_not_grow_end_where_its_audio_ends(
    triton: FakeTriton, tmp_path: Path, kind: str, stream: list[str]
) -> None:
    path, captions = tmp_path / f"x.{kind}", tmp_path / "x.json"
    arguments = ("-o", str(path), *stream, "--captions", str(captions))
    limit = limit_files(LIMITS_BYTES[kind])
    text = "It is cold. " * 100  # 10 s
    assert run_bark(triton, "say", text, *arguments, stdout=subprocess.DEVNULL, preexec_fn=limit)[0] == 1
    assert json.loads(captions.read_text())[-1]["end"] == pytest.approx(seconds_of(path), abs=2e-3)


def test_a_file_of_which_nothing_is_kept_has_no_captions(triton: FakeTriton, tmp_path: Path) -> None:
    path, captions = tmp_path / "x.flac", tmp_path / "x.json"
    arguments = ("-o", str(path), "--captions", str(captions))
    limit = limit_files(1_000)
    status, errors = run_bark(triton, "say", "a. b.", *arguments, stdout=subprocess.DEVNULL, preexec_fn=limit)
    assert status == 1 and "nothing was kept" in errors
    assert not path.exists() and not captions.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_is_said_in_words(triton: FakeTriton, small_disk: Path) -> None:
    text = "a. " * 30
    status, errors = run_bark(triton, "say", text, "-o", str(small_disk / "x.wav"), stdout=subprocess.DEVNULL)
    assert (status, errors) == (
        1, f"error: can't write {small_disk}/x.wav: no space left on device; it keeps the first 1.0 s\n"
    )  # fmt: skip
    assert wave_seconds(small_disk / "x.wav") == 1.0
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "more").write_bytes(bytes(64 << 10))
    status, errors = run_bark(triton, "say", text, "-o", str(small_disk / "y.flac"), stdout=subprocess.DEVNULL)
    assert (status, errors) == (
        1, f"error: can't write {small_disk}/y.flac: no space left on device; nothing was kept\n"
    )  # fmt: skip
    assert not (small_disk / "y.flac").exists()


@pytest.mark.parametrize("raw", [[], ["--raw"]])
def test_a_full_device_at_standard_output_is_said_in_words(triton: FakeTriton, raw: list[str]) -> None:
    with Path("/dev/full").open("wb") as device:
        status, errors = run_bark(triton, "say", "One.", "-o", "-", *raw, stdout=device)
    assert (status, errors) == (1, "error: can't write standard output: no space left on device\n")
