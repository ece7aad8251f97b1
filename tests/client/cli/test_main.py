"""`bark` itself, its health check and its completion, against the fake server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import bark_client
from bark_client.cli.main import app
from bark_client.cli.options import complete_voice
from tests.client.fake_triton import FakeTriton, free_port, hang


def test_the_version_is_that_of_the_package(bark: Any) -> None:
    assert bark("--version").stdout == f"bark {bark_client.__version__}\n"


def test_health_is_told_by_words_and_exit_code(bark: Any, triton: FakeTriton, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ready (triton 2.51.0)" in bark("health").stdout
    assert "spoke a word in" in bark("health", "--deep").stdout
    monkeypatch.setattr("bark_client.client.CANARY_TIMEOUT_S", 0.3)
    triton.plan.append(hang())
    triton.speaks_for_others = 1
    assert "the server is speaking for others" in bark("health", "--deep").stdout
    triton.ready = False
    result = bark("health")
    assert result.exit_code == 1
    assert "'bark' is not ready" in result.stderr


def test_names_of_voices_complete(triton: FakeTriton, monkeypatch: pytest.MonkeyPatch) -> None:
    context = types.SimpleNamespace(params={"url": triton.url})
    assert complete_voice(context, "v2/en") == ["v2/en_speaker_6"]  # type: ignore[arg-type]
    monkeypatch.setenv("BARK_URL", triton.url)
    assert len(complete_voice(types.SimpleNamespace(params={}), "")) == 3  # type: ignore[arg-type]


def test_completion_without_a_server_is_empty_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.monotonic()
    for url in (f"127.0.0.1:{free_port()}", "nonsense"):
        assert complete_voice(types.SimpleNamespace(params={"url": url}), "") == []  # type: ignore[arg-type]
    assert time.monotonic() - start < 1.5


def test_the_shell_gets_completions(triton: FakeTriton) -> None:
    command = typer.main.get_command(app)
    environment = {
        "BARK_URL": triton.url,
        "_BARK_COMPLETE": "complete_bash",
        "COMP_WORDS": "bark say --voice v2",
        "COMP_CWORD": "3",
    }
    result = CliRunner().invoke(app, [], prog_name="bark", env=environment)
    assert result.output.split() == ["v2/de_speaker_1", "v2/en_speaker_6"]
    assert command.name == "bark"


def test_the_client_needs_nothing_of_the_server_or_the_builder() -> None:
    code = (
        "import sys, bark_client.cli.main, bark_client.cli.picture; "
        "bad = {'torch', 'onnxruntime', 'pydantic', 'matplotlib', 'sounddevice', 'bark_serving', 'build_engines'}; "
        "sys.exit(f'imported {bad & set(sys.modules)}' if bad & set(sys.modules) else 0)"
    )
    root = Path(bark_client.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    assert done.returncode == 0
    assert (Path(bark_client.__file__).parent / "py.typed").exists()


def test_messages_to_a_log_file_are_not_wrapped(bark: Any, triton: FakeTriton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    folder = Path("a-folder-with-a-long-name" * 4)
    folder.mkdir()
    result = bark("say", "Hello.", "--max-duration", "1", "--timings", "-o", str(folder / "hello.wav"))
    assert f"{folder}/hello.wav: 0.1 s of audio, real-time factor 60.00, seed 4711" in result.stderr.splitlines()
    assert any("coarse" in line and "900 tokens" in line and "225" in line for line in result.stderr.splitlines())
