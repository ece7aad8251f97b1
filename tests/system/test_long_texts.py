"""Long texts, captions and books through a real Triton with the miniature."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
import webvtt

from bark_client import AsyncBarkClient, BarkClient, Speech
from bark_client.script import request_seed
from bark_serving.bundle import MINIATURE, Bundle, BundleError
from tests.system.conftest import RealServer

try:
    BUNDLE = Bundle(MINIATURE)
except BundleError as missing:
    pytest.skip(f"the miniature is not here: {missing}", allow_module_level=True)

TEXT = (
    "The wind was cold when we came to the old house on the hill. Nobody had lived in it for many years now. "
    "The door was open, and the rooms smelled of rain and of wood. We made a fire and sat down beside it together.\n\n"
    "In the morning the sun stood over the fields and the village. We walked down to the river and drank the water."
)
NOVEL = f"# One\n\n{TEXT}\n\n# Two\n\nThis is the end of the book.\n"


@pytest.fixture(scope="module")
def bark(miniature_server: RealServer) -> Iterator[BarkClient]:
    with BarkClient(miniature_server.url, timeout=300) as client:
        yield client


@pytest.fixture(scope="module")
def spoken(bark: BarkClient) -> Speech:
    """The text in pieces, which takes two requests."""
    return bark.speak(iter(TEXT.splitlines(keepends=True)), seed=5)


def test_the_same_pieces_and_seed_give_the_same_speech_with_asyncio(
    miniature_server: RealServer, spoken: Speech
) -> None:
    async def words() -> AsyncIterator[str]:
        for word in TEXT.split(" "):
            yield f"{word} "

    async def speak() -> Speech:
        async with AsyncBarkClient(miniature_server.url, timeout=300) as client:
            return await client.speak(words(), seed=5)

    np.testing.assert_array_equal(asyncio.run(speak()).samples, spoken.samples)


def test_a_long_text_is_what_its_requests_are(bark: BarkClient, spoken: Speech) -> None:
    """The first request as it stands; the second with the voice of the first piece, after the pause of a paragraph."""
    first_text, second_text = TEXT.split("\n\n")
    first = bark.speak(first_text, seed=5, return_tokens=True)
    np.testing.assert_array_equal(spoken.samples[: first.samples.size], first.samples)
    second = bark.speak(second_text, seed=request_seed(5, 1))
    assert not np.array_equal(spoken.samples[-second.samples.size :], second.samples)
    assert spoken.samples[first.samples.size :][: round(0.3 * 24_000)].tolist() == [0.0] * round(0.3 * 24_000)


def test_pieces_have_the_text_and_the_times_of_the_speech(spoken: Speech) -> None:
    joined = "".join("".join(piece.text.split()) for piece in spoken.pieces)
    assert joined == "".join(TEXT.split())
    ends = [piece.end for piece in spoken.pieces]
    assert all(start >= end - 1e-3 for start, end in zip([p.start for p in spoken.pieces][1:], ends, strict=False))
    assert ends[-1] == pytest.approx(spoken.seconds, abs=0.1)
    assert all(piece.verdict and piece.attempts >= 1 for piece in spoken.pieces)


def test_captions_are_those_of_the_pieces(spoken: Speech, tmp_path: Path) -> None:
    read = webvtt.from_srt(spoken.save_captions(tmp_path / "x.srt"))
    assert " ".join(caption.text.replace("\n", " ") for caption in read) == " ".join(TEXT.split())


def test_a_book_that_was_killed_goes_on_to_the_very_same_book(miniature_server: RealServer, tmp_path: Path) -> None:
    (tmp_path / "novel.md").write_text(NOVEL)
    whole = start_book(miniature_server, tmp_path, "whole")
    assert whole.wait(timeout=120) == 0
    killed = start_book(miniature_server, tmp_path, "killed")
    deadline = time.monotonic() + 120
    while not is_within_second_request(tmp_path / "killed"):
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)  # the other process gives no event
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not json.loads((tmp_path / "killed/book.json").read_text())["chapters"][0]["complete"]
    assert start_book(miniature_server, tmp_path, "killed", "--resume").wait(timeout=120) == 0
    books = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "killed")]
    files = {f"{name}.{suffix}" for name in ("01-one", "02-two") for suffix in ("flac", "srt", "vtt")}
    assert set(books[0]) == {*files, "book.json", "speaker.npz"}
    assert books[0] == books[1]


def start_book(miniature_server: RealServer, folder: Path, name: str, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bark_client", "book", "novel.md", "-o", name, "--seed", "5", *more]
    return subprocess.Popen(command, cwd=folder, env={**os.environ, "BARK_URL": miniature_server.url})


def is_within_second_request(folder: Path) -> bool:
    """Whether the first request is noted, and audio of the second is there."""
    try:
        noted = json.loads((folder / "book.json").read_text())["chapters"][0]["samples"]
        size = (folder / "01-one.part.wav").stat().st_size
    except FileNotFoundError:
        return False
    return len(noted) == 1 and size > 44 + 2 * noted[0]
