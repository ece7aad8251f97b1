"""Where no server answers, `bark` names those that `bark-serve` runs on other ports of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.client.fake_triton import FakeTriton, free_port, port_of_another_kind, say_error

TWO = [{"name": name, "ports": {"http-port": 1, "grpc-port": port}} for name, port in (("one", 9001), ("two", 9002))]


def put_bark_serve(folder: Path, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command `bark-serve` that says this when it is asked for its status."""
    (folder / "answer").write_text(said)
    command = folder / "bark-serve"
    command.write_text(f'#!/bin/sh\n[ "$*" = "status --json" ] && cat {folder}/answer\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.mark.parametrize("command", [["say", "Hello."], ["health"], ["voice", "list"]])
def test_servers_on_other_ports_are_named(
    bark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    put_bark_serve(tmp_path, json.dumps(TWO), monkeypatch)
    failed = bark(*command, "--url", f"localhost:{free_port()}")
    assert failed.exit_code == 1 and "no server answers at localhost:" in failed.stderr
    told = "Running here: one (--url localhost:9001), two (--url localhost:9002)"
    assert told in " ".join(failed.stderr.split())


@pytest.mark.parametrize(
    ("command", "answer", "words"),
    [
        (["health"], b"", "was closed"),
        (["health"], b"HTTP/1.1 400 Bad Request\r\n\r\n", "an HTTP server answers at"),
        (["say", "Hello."], b"HTTP/1.1 400 Bad Request\r\n\r\n", "an HTTP server answers at"),
    ],
)
def test_servers_are_named_where_a_port_is_not_that_of_grpc(
    bark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], answer: bytes, words: str
) -> None:
    """Triton's HTTP port closes every connection, that of the gateway answers: the one to use is among those named."""
    put_bark_serve(tmp_path, json.dumps(TWO), monkeypatch)
    with port_of_another_kind(answer) as port:
        said = " ".join(bark(*command, "--url", f"127.0.0.1:{port}").stderr.split())
    assert words in said and "Running here: one (--url localhost:9001)" in said


def test_none_is_named_where_a_server_answers(
    bark: Any, triton: FakeTriton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_bark_serve(tmp_path, json.dumps(TWO), monkeypatch)
    triton.ready = False
    failed = bark("health", "--url", f"localhost:{triton.port}")
    assert failed.exit_code == 1 and "Running here" not in failed.stderr
    triton.plan.append(say_error("[INTERNAL] no"))
    failed = bark("say", "Hello.", "--url", f"localhost:{triton.port}")
    assert failed.exit_code == 1 and "Running here" not in failed.stderr


def test_a_server_that_starts_on_the_very_port_is_not_named(
    bark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    put_bark_serve(tmp_path, json.dumps([{"name": "new", "ports": {"grpc-port": port}}, *TWO[:1]]), monkeypatch)
    said = " ".join(bark("health", "--url", f"localhost:{port}").stderr.split())
    assert "Running here: one (--url localhost:9001)" in said and "new" not in said


@pytest.mark.parametrize("said", ["[]", "null", "an old version", '[{"name": "one"}]'])
def test_nothing_is_added_where_none_is_known(
    bark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    put_bark_serve(tmp_path, said, monkeypatch)
    failed = bark("health", "--url", f"localhost:{free_port()}")
    assert failed.exit_code == 1 and "Running here" not in failed.stderr


def test_other_machines_are_not_looked_at(bark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_bark_serve(tmp_path, json.dumps(TWO), monkeypatch)
    assert "Running here" not in bark("health", "--url", "no.such.host.invalid:8001").stderr
