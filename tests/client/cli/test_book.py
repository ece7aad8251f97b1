"""`bark book`, against the fake server."""

from __future__ import annotations

import inspect
import json
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import soundfile

from bark_client.cli.book import book
from bark_client.protocol import OPTIONS
from bark_client.script import request_seed
from tests.client.cli.processes import python_bark
from tests.client.fake_triton import CHUNK, FakeTriton, free_port, hang, say_error, speak
from tests.client.fake_voices import arrays_of, hash_of

SENTENCES = "".join(f"This is the sentence number {number} of a chapter which has many. " for number in range(30))
NOVEL = f"# One\n\n{SENTENCES}\n\n# Two\n\nA short chapter. It ends here.\n"


@pytest.fixture(autouse=True)
def novel(tmp_path: Path) -> Path:
    path = tmp_path / "novel.md"
    path.write_text(NOVEL, encoding="utf-8")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def done_requests(folder: Path) -> int:
    state = folder / "book.json"
    if not state.exists():
        return 0
    return sum(len(chapter["samples"]) for chapter in json.loads(state.read_text())["chapters"])


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)  # the other process gives no event


def test_a_book_has_audio_and_captions_for_each_chapter(bark: Any, triton: FakeTriton) -> None:
    result = bark("book", "novel.md", "-o", "novel", "--seed", "3")
    assert result.exit_code == 0, result.output
    names = {"01-one", "02-two"}
    assert {path.name for path in Path("novel").iterdir()} == {
        *(f"{name}.{suffix}" for name in names for suffix in ("flac", "srt", "vtt")), "book.json", "speaker.npz",
    }  # fmt: skip
    assert soundfile.info("novel/01-one.flac").frames == 30 * CHUNK
    assert soundfile.info("novel/02-two.flac").frames == 2 * CHUNK
    assert "This is the sentence number 29" in Path("novel/01-one.srt").read_text()
    assert "It ends here." in Path("novel/02-two.vtt").read_text()
    assert "novel: 2 chapters, 3 s of audio, seed 3" in result.stderr
    assert [request["seed"] for request in triton.requests] == [
        request_seed(3, index) for index in range(len(triton.requests))
    ]
    assert ["semantic_prompt" in request for request in triton.requests[:2]] == [False, True]


def test_options_are_those_of_say(bark: Any, triton: FakeTriton) -> None:
    speaking = set(OPTIONS) - {"return_tokens"}
    assert speaking <= set(inspect.signature(book).parameters)
    result = bark("book", "novel.md", "-o", "x", "-v", "joe", "--top-k", "5", "--no-markdown", "--format", "wav")
    assert result.exit_code == 0, result.output
    for request in triton.requests:
        assert (request["voice"], request["top_k"], request["markdown"]) == (b"joe", 5, False)
        assert set(request) == {"text", "stream", "voice", "seed", "top_k", "markdown"}
    assert soundfile.info("x/01-one.wav").frames == 30 * CHUNK


def test_a_book_without_markdown_has_chapters_where_markdown_has_code(bark: Any) -> None:
    Path("code.txt").write_text("It begins.\n\n```\n\nChapter 2\n\nIt ends.\n```\n")
    assert "1 chapter," in bark("book", "code.txt", "-o", "one").stderr
    assert "2 chapters," in bark("book", "code.txt", "-o", "two", "--no-markdown").stderr


def test_several_texts_are_chapters_and_one_is_split_unless_told_not_to(bark: Any) -> None:
    Path("end.txt").write_text("# A heading\n\nThe end.")
    assert bark("book", "novel.md", "end.txt", "-o", "a").exit_code == 0
    assert sorted(path.name for path in Path("a").glob("*.flac")) == ["01-novel.flac", "02-end.flac"]
    assert bark("book", "novel.md", "-o", "b", "--one-chapter").exit_code == 0
    assert sorted(path.name for path in Path("b").glob("*.flac")) == ["01-novel.flac"]


def test_after_a_kill_it_goes_on_to_the_very_same_book(bark: Any, triton: FakeTriton, tmp_path: Path) -> None:
    assert bark("book", "novel.md", "-o", "whole", "--seed", "3").exit_code == 0
    whole = len(triton.requests)
    triton.plan.extend([speak, speak, hang(after_chunks=1)])
    arguments = ("book", "novel.md", "-o", "killed", "--seed", "3")
    with python_bark(*arguments, triton=triton, cwd=tmp_path) as process:
        part = tmp_path / "killed/01-one.part.wav"
        wait_for(lambda: done_requests(tmp_path / "killed") == 2 and part.stat().st_size > 44, process)
        process.send_signal(signal.SIGKILL)
    assert bark(*arguments).exit_code == 2
    resumed = bark(*arguments[:-2], "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    spoken = [request["text"] for request in triton.requests[whole:]]
    assert [text for text in spoken if spoken.count(text) > 1] == [triton.requests[2]["text"]] * 2  # the one cut off


@pytest.mark.parametrize("arguments", [["--voice", "me"], []], ids=["option", "tag"])
def test_a_book_whose_voice_was_replaced_is_not_resumed_until_the_former_one_is_back(
    bark: Any, triton: FakeTriton, arguments: list[str]
) -> None:
    if not arguments:
        Path("novel.md").write_text(f"{NOVEL}\n\n[voice:me] And this is me.\n")
    triton.plan.extend([speak, say_error("[INTERNAL] a stage died")])
    command = ["book", "novel.md", "-o", "out", *arguments]
    assert bark(*command).exit_code == 1
    assert json.loads(Path("out/book.json").read_text())["voices"] == {"me": hash_of(triton.voices.stored["me"])}
    spoken, former = len(triton.requests), triton.voices.stored["me"]
    triton.voices.stored["me"] = arrays_of(75)
    refused = bark(*command, "--resume")
    assert refused.exit_code == 2
    assert "the server's voice me was replaced after out was begun with it: import the former voice" in refused.stderr
    assert f"(`bark voice import voice.npz --name me --overwrite --url {triton.url}`)" in refused.stderr
    assert len(triton.requests) == spoken
    triton.voices.stored["me"] = former
    assert bark(*command, "--resume").exit_code == 0


def test_audio_is_not_kept_of_a_request_during_which_the_voice_was_replaced(bark: Any, triton: FakeTriton) -> None:
    former = triton.voices.stored["me"]

    def speak_and_replace(*arguments: Any) -> Iterator[Any]:
        triton.voices.stored["me"] = arrays_of(75)
        yield from speak(*arguments)

    triton.plan.extend([speak, speak_and_replace])
    command = ("book", "novel.md", "-o", "out", "--voice", "me", "--seed", "3")
    refused = bark(*command)
    assert refused.exit_code == 2 and "the server's voice me was replaced" in refused.stderr
    assert done_requests(Path("out")) <= 1
    triton.voices.stored["me"] = former
    assert bark(*command, *["--resume"] * Path("out").exists()).exit_code == 0
    assert bark(*command[:3], "whole", *command[4:]).exit_code == 0
    assert contents(Path("out")) == contents(Path("whole"))


def test_a_book_that_an_older_version_began_without_hashes_is_resumed_and_notes_them(
    bark: Any, triton: FakeTriton
) -> None:
    triton.plan.extend([speak, say_error("[INTERNAL] a stage died")])
    command = ("book", "novel.md", "-o", "out", "--voice", "me")
    assert bark(*command).exit_code == 1
    state = json.loads(Path("out/book.json").read_text())
    del state["voices"]
    Path("out/book.json").write_text(json.dumps(state))
    assert bark(*command, "--resume").exit_code == 0
    assert list(json.loads(Path("out/book.json").read_text())["voices"]) == ["me"]


def test_the_hashes_of_an_older_book_are_noted_before_its_first_request(bark: Any, triton: FakeTriton) -> None:
    triton.plan.extend([speak, say_error("[INTERNAL] a stage died"), say_error("[INTERNAL] a stage died")])
    command = ("book", "novel.md", "-o", "out", "--voice", "me")
    assert bark(*command).exit_code == 1
    state = json.loads(Path("out/book.json").read_text())
    del state["voices"]
    Path("out/book.json").write_text(json.dumps(state))
    assert bark(*command, "--resume").exit_code == 1
    assert list(json.loads(Path("out/book.json").read_text())["voices"]) == ["me"]


def test_a_book_whose_built_in_voice_was_replaced_names_the_bundle(bark: Any, triton: FakeTriton) -> None:
    triton.plan.extend([speak, say_error("[INTERNAL] a stage died")])
    command = ("book", "novel.md", "-o", "out", "--voice", "v2/en_speaker_6")
    assert bark(*command).exit_code == 1
    triton.voices.built_in["v2/en_speaker_6"] = arrays_of(75)
    refused = bark(*command, "--resume")
    assert refused.exit_code == 2 and "start the server with the former bundle and --voices, or" in refused.stderr


def test_a_server_that_cannot_list_its_voices_speaks_a_book_with_one_warning(bark: Any, triton: FakeTriton) -> None:
    triton.voices.rows = [b"no JSON"]
    result = bark("book", "novel.md", "-o", "out", "--voice", "me")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("warning: the voices could not be compared with those of the book: the server at") == 1
    assert len(triton.requests) > 2 and Path("out/02-two.flac").exists()
    assert triton.voices.commands() == ["list"]


def test_audio_is_kept_of_a_request_after_which_the_voices_cannot_be_listed(bark: Any, triton: FakeTriton) -> None:
    def speak_and_break(*arguments: Any) -> Iterator[Any]:
        triton.unary_plan.extend([grpc.StatusCode.INTERNAL] * 9)
        yield from speak(*arguments)

    Path("short.txt").write_text("It begins. It ends.")
    triton.plan.append(speak_and_break)
    result = bark("book", "short.txt", "-o", "out", "--voice", "me")
    assert (result.exit_code, "the voices could not be compared" in result.stderr) == (0, True), result.output
    assert len(triton.requests) == 1 and list(Path("out").glob("*.flac"))


def test_ctrl_c_says_the_command_that_goes_on(bark: Any, triton: FakeTriton, tmp_path: Path) -> None:
    triton.plan.extend([speak, hang(after_chunks=1)])
    (tmp_path / "a book.md").write_text(NOVEL)
    with python_bark("book", "a book.md", "-o", "out", triton=triton, cwd=tmp_path) as process:
        wait_for(lambda: done_requests(tmp_path / "out") == 1 and len(triton.requests) == 2, process)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        errors = process.stderr.read().decode()
    assert process.returncode == 130
    line = next(line for line in errors.splitlines() if "Go on with: " in line)
    assert "% of the book is done" in line
    command = shlex.split(line.partition("Go on with: ")[2])
    assert command == ["bark", "book", "a book.md", "-o", "out", "--resume"]
    assert bark(*command[1:]).exit_code == 0
    assert (tmp_path / "out/02-two.flac").exists()


def test_other_options_and_used_folders_are_refused_before_any_request(bark: Any, triton: FakeTriton) -> None:
    assert bark("book", "novel.md", "-o", "out", "--seed", "3").exit_code == 0
    spoken = len(triton.requests)
    for arguments, sentence in (
        (["-o", "out"], "out holds a book already: add --resume"),
        (["-o", "."], "is not an empty folder"),
        (["-o", "gone", "--resume"], "gone holds no book to go on with: leave --resume out"),
        (["-o", "out", "--resume", "--seed", "4"], "out can't be resumed: its seed is 3, not 4: leave --seed out"),
        (["-o", "out", "--resume", "--top-k", "4"], "top_k was not given, and is now 4: give the same options"),
        (["-o", "new", "--one-piece"], "split_sentences: a text that takes several requests"),
        (["-o", "new", "--voice", "gone.npz"], "gone.npz: no such file"),
    ):
        result = bark("book", "novel.md", *arguments)
        assert result.exit_code == 2
        assert sentence in result.stderr and len(result.stderr.splitlines()) == 1
    Path("empty.txt").write_text("\n* * *\n")
    assert "it has no word to speak" in bark("book", "novel.md", "empty.txt", "-o", "new").stderr
    assert "the text is empty" in bark("book", "empty.txt", "-o", "new").stderr
    assert len(triton.requests) == spoken
    assert not Path("new").exists()


def test_a_complete_book_is_not_spoken_again(bark: Any, triton: FakeTriton) -> None:
    assert bark("book", "novel.md", "-o", "out").exit_code == 0
    before, spoken = contents(Path("out")), len(triton.requests)
    assert bark("book", "novel.md", "-o", "out", "--resume").exit_code == 0
    assert contents(Path("out")) == before
    assert len(triton.requests) == spoken


@pytest.mark.parametrize("text", ["", " \n\n", "# * * *\n", "[pause 1s]"])
def test_a_text_without_a_word_is_refused_and_leaves_no_folder(bark: Any, triton: FakeTriton, text: str) -> None:
    Path("novel.txt").write_text(text)
    refused = bark("book", "novel.txt", "-o", "novel")
    assert refused.exit_code == 2 and "the text is empty; give at least one word to speak" in refused.stderr
    assert not Path("novel").exists() and triton.requests == []


def test_a_failure_before_anything_is_done_leaves_no_folder(bark: Any, triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INVALID_ARGUMENT] voice: no voice jim; did you mean jo?"))
    result = bark("book", "novel.md", "-o", "out", "--voice", "jim")
    assert result.exit_code == 2 and "did you mean jo?" in result.stderr
    assert not Path("out").exists()
    no_server = bark("book", "novel.md", "-o", "out", "--voice", "me", "--url", f"127.0.0.1:{free_port()}")
    assert no_server.exit_code == 1 and "bark-serve up" in no_server.stderr and "warning" not in no_server.stderr
    assert not Path("out").exists()


def test_a_failure_later_says_how_to_go_on(bark: Any, triton: FakeTriton) -> None:
    triton.plan.extend([speak, say_error("[INTERNAL] a stage died")])
    result = bark("book", "novel.md", "-o", "out")
    assert result.exit_code == 1
    assert "Go on with: bark " in result.stderr and "error: a stage died" in result.stderr
    assert bark("book", "novel.md", "-o", "out", "--resume").exit_code == 0
