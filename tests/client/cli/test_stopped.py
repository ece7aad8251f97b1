"""What is left of a `bark say` that was stopped, or failed."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.client.cli.processes import python_bark
from tests.client.cli.test_say import read, size
from tests.client.cli.test_sinks import wait_until
from tests.client.fake_triton import CHUNK, SAMPLE_RATE, FakeTriton, hang, say_error


@pytest.mark.parametrize("killer", [signal.SIGINT, signal.SIGTERM])
def test_a_speech_that_is_stopped_keeps_the_captions_of_what_was_spoken(
    triton: FakeTriton, tmp_path: Path, killer: signal.Signals
) -> None:
    triton.plan.append(hang(after_chunks=2))
    text = "Good morning. It is cold. It is late."
    arguments = ("--stream", "-o", "x.wav", "--captions", "x.json")
    with python_bark("say", text, *arguments, triton=triton, cwd=tmp_path) as process:
        wait_until(lambda: size(tmp_path / "x.wav") == 44 + 2 * 2 * CHUNK, what="no audio came")
        process.send_signal(killer)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 128 + killer
    kept = read(tmp_path / "x.wav").size / SAMPLE_RATE
    assert kept == pytest.approx(2 * CHUNK / SAMPLE_RATE)
    assert f"x.wav: the first {kept:.1f} s are kept" in errors.decode() and "x.json: captions" in errors.decode()
    captions = json.loads((tmp_path / "x.json").read_text())
    assert [one["text"] for one in captions] == ["Good morning.", "It is cold."]
    assert captions[-1]["end"] == pytest.approx(kept, abs=1e-3)


def test_a_speech_that_is_stopped_before_its_file_is_written_leaves_nothing(triton: FakeTriton, tmp_path: Path) -> None:
    triton.plan.append(hang(after_chunks=2))
    with python_bark("say", "One. Two.", "-o", "x.wav", "--captions", "x.srt", triton=triton, cwd=tmp_path) as process:
        wait_until(lambda: bool(triton.requests), what="no request came")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert errors.decode() == "error: stopped\n" and list(tmp_path.iterdir()) == []


def test_a_speech_that_breaks_off_says_what_was_kept(bark: Any, triton: FakeTriton) -> None:
    triton.plan.append(say_error("it broke", after_chunks=2))
    result = bark("say", "Good morning. It is cold. It is late.", "--stream", "-o", "x.wav", "--captions", "x.srt")
    assert result.exit_code == 1 and "x.wav: the first 0.2 s are kept" in result.stderr
    assert Path("x.srt").read_text().count("-->") == 2
