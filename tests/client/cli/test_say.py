"""`bark say`, against the fake server."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import bark_client
from tests.client.cli.processes import python_bark
from tests.client.fake_sound_device import FakeSoundDevice
from tests.client.fake_triton import CHUNK, SAMPLE_RATE, FakeTriton, abort, hang, say_error, say_nothing, speak

import grpc  # isort: skip


def read(path: str | Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == SAMPLE_RATE
    return samples


def test_say_writes_out_wav_and_says_so(bark: Any) -> None:
    result = bark("say", "Hello", "there.", "And", "you.")
    assert result.exit_code == 0, result.output
    assert read("out.wav").size == 2 * CHUNK
    assert "out.wav (name another with -o)" in result.stderr
    assert "seed 4711" in result.stderr
    assert result.stdout == ""


def test_say_sends_every_option(bark: Any, triton: FakeTriton) -> None:
    result = bark(
        "say", "Hello.", "--voice", "me", "--seed", "5", "--semantic-temperature", "0", "--coarse-temperature", "0.5",
        "--fine-temperature", "0.25", "--top-k", "50", "--top-p", "0.75", "--min-eos-p", "0.125", "--coarse-history",
        "100", "--coarse-window", "40", "--max-duration", "12", "--no-fine-padding", "--one-piece", "--chain-sentences",
        "-l", "en", "--speed", "fast", "--latency", "low", "--no-markdown", "--no-fold-signs", "--spell-numbers",
        "--any-speaker", "--retries", "1", "--on-failure", "skip",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert triton.requests == [
        {
            "text": b"Hello.", "voice": b"me", "seed": 5, "semantic_temperature": 0, "coarse_temperature": 0.5,
            "fine_temperature": 0.25, "top_k": 50, "top_p": 0.75, "min_eos_p": 0.125, "coarse_history": 100,
            "coarse_window": 40, "fine_padding": False, "max_duration": 12, "language": b"en", "split_sentences": False,
            "chain_sentences": True, "speed": b"fast", "markdown": False, "fold_signs": False, "spell_numbers": True,
            "one_speaker": False, "retries": 1, "on_failure": b"skip", "latency": b"low", "stream": True,
        }
    ]  # fmt: skip
    assert "warning: sentence 1 was cut at 14 s [max_duration]" in result.stderr


def test_options_that_were_not_given_are_not_sent(bark: Any, triton: FakeTriton) -> None:
    assert bark("say", "Hello.").exit_code == 0
    assert triton.requests == [{"text": b"Hello.", "stream": True}]


@pytest.mark.parametrize("arguments", [[], ["-"], ["-f", "-"], ["--live", "-f", "-"]])
def test_say_reads_a_pipe(bark: Any, triton: FakeTriton, arguments: list[str]) -> None:
    assert bark("say", *arguments, input="From a pipe.\n").exit_code == 0
    assert triton.requests[0]["text"].strip() == b"From a pipe."


def test_say_reads_a_file(bark: Any, triton: FakeTriton) -> None:
    Path("story.txt").write_text("Es war einmal. Für immer.", encoding="utf-8")
    assert bark("say", "--file", "story.txt", "-o", "story.flac").exit_code == 0
    assert triton.requests[0]["text"].decode() == "Es war einmal. Für immer."
    assert read("story.flac").size == 2 * CHUNK


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["say", ""], "text: empty"),
        (["say", "x", "--captions", "x.sub"], "the suffix must be one of .srt, .vtt, .json"),
        (["say", "x", "--captions", "no/such/x.srt"], "there is no folder no/such"),
        (["say", "x", "-o", "x.aac"], "the suffix must be one of .wav, .flac, .ogg, .mp3"),
        (["say", "x", "-o", "/dev/stdout"], "can't write '/dev/stdout': the suffix must be one of .wav"),
        (["say", "x", "-o", "/tmp"], "can't write '/tmp': the suffix must be one of .wav"),
        (["say", "x", "-o", "/dev/null"], ".mp3, or - for standard output"),
        (["say", "x", "--captions", "/dev/stdout"], "can't write captions to '/dev/stdout'"),
        (["say", "x", "--picture", "/dev/null"], "can't draw '/dev/null'"),
        (["say", "x", "-o", "no/such/x.wav"], "there is no folder no/such"),
        (["say", "x", "--raw"], "--raw is for standard output"),
        (["say", "x", "--picture", "x.bmp"], "the suffix must be one of .png"),
        (["say", "x", "--save-voice", "x.wav"], "the suffix must be .npz"),
        (["say", "x", "--save-voice", "no/such/x.npz"], "there is no folder no/such"),
        (["say", "x", "--picture", "no/such/x.png"], "there is no folder no/such"),
        (["say", "x", "-o", "/proc/x.wav"], "can't write /proc/x.wav: no such file or directory"),
        (["say", "x", "-o", "folder.wav"], "can't write folder.wav: is a directory"),
        (["say", "caf\udce9"], "text: not valid Unicode"),
        (["say", "x", "--voice", "caf\udce9"], "voice: not valid Unicode"),
        (["say", "x", "--voice", "gone.npz"], "gone.npz: no such file"),
        (["say", "x", "--seed", "-1"], "seed: -1 is outside"),
        (["say", "x", "--url", "http://h:1"], "url: expected host:port"),
        (["say", "x", "--url", "http://h:1"], "are for programs that speak through OpenAI"),
        (["say", "x", "--file", "binary.txt"], "not both"),
        (["say", "--file", "binary.txt"], "not a UTF-8 text"),
        (["say", "--file", "gone.txt"], "gone.txt"),
        (["say", "x", "--top-k", "many"], "--top-k"),
        (["sing"], "sing"),
    ],
)
def test_mistakes_of_use_are_one_line_and_exit_2_before_any_work(
    bark: Any, triton: FakeTriton, arguments: list[str], sentence: str
) -> None:
    Path("binary.txt").write_bytes(b"\xff\xfe\x00")
    Path("folder.wav").mkdir()
    result = bark(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.output
    assert triton.requests == []
    assert not list(Path().glob("out*"))


def test_a_refusal_of_the_server_exits_2_and_a_failure_1(bark: Any, triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INVALID_ARGUMENT] voice: no voice [bold]x[/bold] here; see `bark voice list`"))
    refused = bark("say", "Hello.", "--voice", "x")
    assert refused.exit_code == 2
    assert "error: voice: no voice [bold]x[/bold] here; see `bark voice list`" in refused.stderr
    triton.plan.append(abort(grpc.StatusCode.INTERNAL))
    failed = bark("say", "Hello.")
    assert failed.exit_code == 1
    assert failed.stderr.startswith("error: ")
    assert not Path("out.wav").exists()


def test_a_timeout_given_on_the_command_line_holds(bark: Any, triton: FakeTriton) -> None:
    triton.plan.extend([hang(), hang()])
    for option in ("--timeout", "--answer-timeout"):
        start = time.monotonic()
        result = bark("say", "Hello.", option, "0.3")
        assert result.exit_code == 1
        assert time.monotonic() - start < 3
        assert triton.cancelled.acquire(timeout=3)


def test_timings_prints_the_stage_table(bark: Any) -> None:
    result = bark("say", "Hello.", "--timings")
    assert result.exit_code == 0
    rows = [line.split("│")[1:-1] for line in result.stderr.splitlines() if line.count("│") > 4]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert ["coarse", "4.000", "64 %", "15", "900 tokens", "225"] in cells
    assert ["encodec_decode", "0.250", "4 %", "3", "450 frames", "1,800"] in cells
    assert "first audio after 2.50 s" in result.stderr
    assert "The stages add up to 6.25 s because they overlap" in result.stderr


def test_a_request_that_spoke_nothing_is_told_and_writes_an_empty_file(bark: Any, triton: FakeTriton) -> None:
    triton.plan.extend([say_nothing, say_nothing])
    result = bark("say", "Hm.", "--timings")
    assert result.exit_code == 0, result.output
    assert "warning: it ended before it began" in result.stderr
    assert "no audio" in result.stderr
    assert read("out.wav").size == 0
    assert bark("say", "Hm.", "--stream", "-o", "s.wav").exit_code == 0
    assert read("s.wav").size == 0


def test_save_voice_keeps_the_generation(bark: Any, triton: FakeTriton) -> None:
    assert bark("say", "Hello.", "--save-voice", "me.npz").exit_code == 0
    assert bool(triton.requests[0]["return_tokens"]) is True
    assert bark_client.Voice.load("me.npz").frames == 13
    assert bark("say", "More.", "--voice", "me.npz").exit_code == 0
    assert triton.requests[1]["coarse_prompt"].shape == (2, 13)


def test_picture_draws_one(bark: Any) -> None:
    pytest.importorskip("matplotlib")
    result = bark("say", "Hello. You.", "--picture", "x.png")
    assert result.exit_code == 0, result.output
    assert Path("x.png").read_bytes().startswith(b"\x89PNG")


def test_a_missing_extra_shows_before_any_work(bark: Any, triton: FakeTriton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    pictured, played = bark("say", "x", "--picture", "x.png"), bark("say", "x", "--play")
    assert (pictured.exit_code, played.exit_code) == (1, 1)
    assert "pip install './client[picture]'" in pictured.stderr
    assert "pip install './client[play]'" in played.stderr
    assert triton.requests == []


@pytest.mark.parametrize("stream", [[], ["--stream"]])
def test_standard_output_gets_a_wav_and_nothing_else(bark: Any, stream: list[str]) -> None:
    result = bark("say", "One. Two.", "-o", "-", *stream)
    assert result.exit_code == 0
    samples, rate = soundfile.read(io.BytesIO(result.stdout_bytes))
    assert (samples.size, rate) == (2 * CHUNK, SAMPLE_RATE)
    assert not Path("out.wav").exists()


def test_raw_output_is_samples_only(bark: Any) -> None:
    result = bark("say", "One. Two.", "-o", "-", "--raw", "--stream")
    assert len(result.stdout_bytes) == 2 * 2 * CHUNK


def test_a_streamed_file_keeps_what_came_before_a_failure(bark: Any, triton: FakeTriton) -> None:
    triton.plan.append(abort(grpc.StatusCode.UNAVAILABLE, after_chunks=2))
    result = bark("say", "One. Two. Three.", "--stream", "-o", "part.wav")
    assert result.exit_code == 1
    assert "after 0.2 s of audio" in result.stderr
    assert read("part.wav").size == 2 * CHUNK


@pytest.mark.parametrize(("stream", "pieces"), [([], [2 * CHUNK]), (["--stream"], [CHUNK, CHUNK])])
def test_play_plays_at_the_end_or_as_it_comes_and_leaves_no_file(
    bark: Any, monkeypatch: pytest.MonkeyPatch, stream: list[str], pieces: list[int]
) -> None:
    device = FakeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    result = bark("say", "One. Two.", "--play", *stream)
    assert result.exit_code == 0, result.output
    opened, *log = device.log
    assert opened == {"samplerate": SAMPLE_RATE, "channels": 1, "dtype": "float32"}
    assert log == ["start", *((size, 1) for size in pieces), "stop", "close"]
    assert not Path("out.wav").exists()


def test_a_pipe_that_is_not_utf_8_is_one_line(bark: Any) -> None:
    result = bark("say", input=b"caf\xe9")
    assert result.exit_code == 2
    assert "standard input: not a UTF-8 text" in result.stderr


def test_a_link_to_a_file_that_is_not_there_yet_is_written_through(bark: Any) -> None:
    Path("out.wav").symlink_to("elsewhere.wav")
    assert bark("say", "Hello.").exit_code == 0
    assert Path("out.wav").is_symlink() and read("elsewhere.wav").size == CHUNK


def book() -> str:
    """A text that takes several requests: 400 sentences."""
    return "".join(f"This is the sentence number {number} of a text which has many. " for number in range(400))


@pytest.mark.parametrize("source", ["file", "pipe"])
def test_a_book_takes_several_requests_and_its_audio_is_written(bark: Any, triton: FakeTriton, source: str) -> None:
    Path("book.txt").write_text(book())
    result = bark("say", "-f", "book.txt") if source == "file" else bark("say", input=book())
    assert result.exit_code == 0, result.output
    assert read("out.wav").size == 400 * CHUNK
    assert len(triton.requests) > 10
    assert "out.wav (name another with -o): 40.0 s of audio" in result.stderr
    assert "semantic_prompt" in triton.requests[-1]


def test_a_failure_in_a_book_keeps_audio_and_captions_of_what_was_spoken(bark: Any, triton: FakeTriton) -> None:
    triton.plan.extend([speak, speak, abort(grpc.StatusCode.INTERNAL)])
    result = bark("say", "-o", "x.flac", "--captions", "x.json", input=book())
    assert result.exit_code == 1
    spoken = read("x.flac").size
    assert spoken == sum(request["text"].count(b".") for request in triton.requests[:2]) * CHUNK
    assert json.loads(Path("x.json").read_text())[-1]["end"] == pytest.approx(spoken / SAMPLE_RATE, abs=1e-3)


@pytest.mark.parametrize("option", [["--picture", "x.png"], ["--save-voice", "x.npz"]])
def test_what_needs_all_the_audio_is_refused_for_a_book(bark: Any, triton: FakeTriton, option: list[str]) -> None:
    result = bark("say", *option, input=book())
    assert result.exit_code == 2
    assert f"{option[0]}: the text has over 20000 characters" in result.stderr
    assert triton.requests == []


def test_live_speaks_a_pipe_while_its_text_still_comes(triton: FakeTriton, tmp_path: Path) -> None:
    arguments = ("say", "--live", "-o", str(tmp_path / "x.wav"))
    with python_bark(*arguments, triton=triton, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(book()[:400].encode())
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while size(tmp_path / "x.wav") <= 44 and time.monotonic() < deadline:
            time.sleep(0.02)  # the other process gives no event
        assert size(tmp_path / "x.wav") > 44
        process.stdin.write(book()[400:1000].encode())
        process.stdin.close()
        assert process.wait(timeout=30) == 0, process.stderr.read()
    assert read(tmp_path / "x.wav").size == sum(request["text"].count(b".") for request in triton.requests) * CHUNK
    assert " ".join(request["text"].decode() for request in triton.requests) == book()[:1000].strip()


def test_ctrl_c_ends_live_while_it_waits_for_text(triton: FakeTriton, tmp_path: Path) -> None:
    with python_bark("say", "--live", "-o", str(tmp_path / "x.wav"), triton=triton, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(book()[:400].encode())
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while size(tmp_path / "x.wav") <= 44 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read().decode()
        assert process.wait(timeout=20) == 130, errors
    assert errors.strip().endswith("stopped") and "Fatal" not in errors


def test_live_takes_no_other_text_and_only_utf_8(bark: Any, triton: FakeTriton) -> None:
    assert "--live is for a text that comes through a pipe" in bark("say", "Hello.", "--live").stderr
    broken = bark("say", "--live", input=b"caf\xe9 au lait")
    assert broken.exit_code == 2 and "standard input: not a UTF-8 text" in broken.stderr
    assert triton.requests == []


@pytest.mark.parametrize("option", [["--live"], ["--stream"], ["--live", "--captions", "x.srt"], []])
@pytest.mark.parametrize("text", ["", " \n\n", " " * 20_001])
def test_a_pipe_without_a_word_is_refused_and_no_file_is_named(
    bark: Any, triton: FakeTriton, text: str, option: list[str]
) -> None:
    result = bark("say", *option, input=text)
    assert result.exit_code == 2
    assert result.stderr == "error: text: empty; give at least one word to speak\n"
    assert list(Path().iterdir()) == triton.requests == []


@pytest.mark.parametrize("stream", [[], ["--stream"]])
def test_captions_are_written_beside_the_audio(bark: Any, stream: list[str]) -> None:
    result = bark("say", "Good morning. It is cold.", "-o", "x.flac", "--captions", "x.srt", *stream)
    assert result.exit_code == 0, result.output
    assert Path("x.srt").read_text() == (
        "1\n00:00:00,000 --> 00:00:00,100\nGood morning.\n\n2\n00:00:00,100 --> 00:00:00,200\nIt is cold.\n\n"
    )
    assert "x.srt: captions" in result.stderr


def test_a_player_that_quits_early_ends_it_without_noise(triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))
    with python_bark("say", "Hello.", "-o", "-", "--stream", triton=triton) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read(4) == b"RIFF"
        process.stdout.close()
        triton.release.set()  # the next answer is the end, without the last chunk
        errors = process.stderr.read().decode()
        process.wait(timeout=10)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


def test_ctrl_c_stops_it_here_and_on_the_server(triton: FakeTriton, tmp_path: Path) -> None:
    triton.plan.append(hang(after_chunks=1))
    with python_bark("say", "Hello.", "--stream", "-o", str(tmp_path / "x.wav"), triton=triton) as process:
        deadline = time.monotonic() + 60
        while not size(tmp_path / "x.wav") and time.monotonic() < deadline:
            time.sleep(0.02)  # the other process gives no event
        assert size(tmp_path / "x.wav")
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        errors = process.stderr.read().decode()
        process.wait(timeout=10)
    assert process.returncode == 130, errors
    assert "stopped" in errors
    assert "Traceback" not in errors
    assert triton.cancelled.acquire(timeout=5)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
