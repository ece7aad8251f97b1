"""Each example as it is started, against a server that plays Triton; the files it writes."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bark_client import Voice
from tests.client.fake_sound_device import FakeSoundDevice
from tests.client.fake_triton import CHUNK, SAMPLE_RATE, FakeTriton, free_port, say_error, speak_in_pieces
from tests.speech import CLIP

EXAMPLES = Path(__file__).parents[2] / "examples"
MAX_LINES = 45

Run = Callable[..., None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run an example in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def start(name: str, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return start


def seconds_of(path: str) -> float:
    info = soundfile.info(path)
    assert info.samplerate == SAMPLE_RATE
    return float(info.duration)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short_and_says_how_to_start_it(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= MAX_LINES
    assert f"python examples/{path.name}" in (ast.get_docstring(ast.parse(source)) or "")


def test_speak_saves_a_text(run: Run, triton: FakeTriton, capsys: pytest.CaptureFixture[str]) -> None:
    run("speak.py", triton.url)
    assert seconds_of("speak.flac") == 2 * CHUNK / SAMPLE_RATE
    assert "voices: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["speak.py"], ["stream_to_speaker.py"], ["clone_voice.py", CLIP], ["dialogue_async.py"]],
    ids=lambda arguments: arguments[0],
)
def test_without_a_server_an_example_says_what_to_start(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[Any]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSoundDevice())
    with pytest.raises(
        SystemExit, match=r"^error: no server answers at .* start one with `bark-serve up --grpc-port [0-9]+`"
    ):
        run(*arguments, f"localhost:{free_port()}")


def test_raw_grpc_without_a_server_says_so(run: Run) -> None:
    with pytest.raises(SystemExit, match=r"^error: UNAVAILABLE: .*[Cc]onnection refused"):
        run("raw_grpc.py", f"127.0.0.1:{free_port()}")


def test_stream_to_speaker_without_sounddevice_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # an import of it then fails
    with pytest.raises(SystemExit, match=r"^error: .*sounddevice.* `pip install './client\[play\]'"):
        run("stream_to_speaker.py")


def test_clone_voice_without_a_recording_says_how_it_is_started(run: Run) -> None:
    with pytest.raises(SystemExit, match=r"^usage: python examples/clone_voice.py RECORDING"):
        run("clone_voice.py")


def test_stream_to_speaker_plays_each_chunk_and_says_what_has_arrived(
    run: Run, triton: FakeTriton, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    device = FakeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    triton.plan.append(speak_in_pieces)
    run("stream_to_speaker.py", triton.url)
    opened, *played = device.log
    assert opened == {"samplerate": SAMPLE_RATE, "channels": 1, "dtype": "float32"}
    assert played == ["start", *4 * [(CHUNK, 1)], "stop", "close"]
    assert seconds_of("stream.wav") == 4 * CHUNK / SAMPLE_RATE
    first, *arrived, saved = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"the first audio came after \d+\.\d\d s", first) and saved == "stream.wav"
    assert arrived == [
        f"{seconds:.1f} s of audio so far, sentence {sentence} of 2"
        for seconds, sentence in ((0.1, 1), (0.2, 1), (0.3, 2), (0.4, 2))
    ]


def test_clone_voice_speaks_with_a_clone(run: Run, triton: FakeTriton) -> None:
    run("clone_voice.py", CLIP, triton.url)
    assert triton.requests[0]["voice"] == b"my-voice"
    assert seconds_of("cloned.wav") == CHUNK / SAMPLE_RATE
    assert Voice.load("my-voice.npz").frames > 0


def test_dialogue_async_joins_its_lines(run: Run, triton: FakeTriton, capsys: pytest.CaptureFixture[str]) -> None:
    run("dialogue_async.py", triton.url)
    assert seconds_of("dialogue.flac") == pytest.approx(3 * CHUNK / SAMPLE_RATE + 2 * 0.3)
    assert sorted(request["voice"] for request in triton.requests) == [b"jo", b"joe", b"joe"]
    assert "  0.8 s  joe: Thank you very much." in capsys.readouterr().out


def test_raw_grpc_hears_what_the_client_hears(run: Run, triton: FakeTriton, client: Any) -> None:
    run("raw_grpc.py", triton.url)
    (sent,) = triton.requests
    assert (sent["text"], sent["seed"]) == (b"It is a lovely morning.", 1)
    samples, rate = soundfile.read("raw.wav", dtype="float32")
    assert rate == SAMPLE_RATE
    np.testing.assert_allclose(samples, client.speak("It is a lovely morning.").samples, atol=1e-4)


def test_raw_grpc_shows_the_error_of_the_server(run: Run, triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INVALID_ARGUMENT] the text is too long"))
    with pytest.raises(SystemExit, match="the text is too long"):
        run("raw_grpc.py", triton.url)
    assert not Path("raw.wav").exists()
