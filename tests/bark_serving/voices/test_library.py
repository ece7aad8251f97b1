"""The library: names and hashes, what is kept beside what comes with the server, and the commands of its model."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bark_serving.errors import InvalidRequest
from bark_serving.voices import VoiceLibrary, VoiceStore, content_hash
from bark_serving.voices.commands import run_command
from bark_serving.voices.library import MAX_CACHED_BYTES
from tests.bark_serving.voices_data import SPEC, arrays, voice


@pytest.fixture
def library(tmp_path: Path) -> VoiceLibrary:
    """A server's voices: two that came with it, none kept yet."""
    (tmp_path / "bundle/v2").mkdir(parents=True)
    np.savez(tmp_path / "bundle/v2/en_speaker_0.npz", **arrays(100))
    np.savez(tmp_path / "bundle/announcer.npz", **arrays(101))
    return opened(tmp_path)


def opened(folder: Path) -> VoiceLibrary:
    return VoiceLibrary([folder / "bundle"], spec=SPEC, store=VoiceStore(folder / "store"))


def run(library: VoiceLibrary, command: str, **inputs: Any) -> list[dict[str, Any]]:
    outputs = run_command({"command": command, **inputs}, library=library)
    assert set(outputs) == {"voices", "semantic_prompt", "coarse_prompt", "fine_prompt"}
    return [json.loads(row) for row in outputs["voices"]]


def test_the_hash_is_of_shapes_and_data_and_of_nothing_else() -> None:
    digest = hashlib.sha256()
    for array in arrays().values():
        digest.update(np.array(array.shape, "<i4").tobytes() + array.astype("<i4").tobytes())
    assert content_hash(voice()) == f"sha256:{digest.hexdigest()}"
    assert content_hash(voice()) != content_hash(voice(1))


def test_what_one_process_changes_another_sees_at_once(library: VoiceLibrary, tmp_path: Path) -> None:
    other = opened(tmp_path)
    library.put("me", voice(1))
    assert content_hash(other.get("me")) == content_hash(voice(1)) and "me" in other.names()
    library.put("me", voice(2), overwrite=True)
    assert content_hash(other.get("me")) == content_hash(voice(2))
    library.rename("me", "you")
    assert content_hash(other.get("you")) == content_hash(voice(2))
    with pytest.raises(InvalidRequest, match="no voice 'me'"):
        other.get("me")
    library.delete("you")
    with pytest.raises(InvalidRequest, match="no voice 'you'"):
        other.get("you")
    assert other.names() == ["announcer", "v2/en_speaker_0"]


def test_a_voice_is_found_by_its_hash_or_the_beginning_of_it(library: VoiceLibrary) -> None:
    entry = library.put("me", voice(1))
    for name in (entry.hash, entry.hash[: len("sha256:") + 12]):
        assert library.entry(name) == entry
        assert content_hash(library.get(name)) == entry.hash
    assert library.entry(content_hash(voice(100))).name == "v2/en_speaker_0"
    with pytest.raises(InvalidRequest, match="there is no voice sha256:000000000000;"):
        library.get("sha256:000000000000")
    for too_short in (entry.hash[:18], "sha256:", "sha256:XYZ000000000", entry.hash + "0"):
        with pytest.raises(InvalidRequest, match="is no voice name"):
            library.get(too_short)


def test_a_hash_of_several_names_reads_but_does_not_change(library: VoiceLibrary) -> None:
    library.put("a", voice(1))
    entry = library.put("b", voice(1))
    assert content_hash(library.get(entry.hash)) == entry.hash
    with pytest.raises(InvalidRequest, match="the voice of several names: a, b"):
        library.delete(entry.hash)
    library.delete("a")
    assert library.delete(entry.hash).name == "b"


def test_what_comes_with_the_server_stays_as_it_is(library: VoiceLibrary) -> None:
    library.put("me", voice(1))
    for change in (
        lambda: library.put("announcer", voice(1), overwrite=True),
        lambda: library.delete("announcer"),
        lambda: library.delete(content_hash(voice(101))),
        lambda: library.rename("announcer", "x"),
        lambda: library.rename("me", "v2/en_speaker_0", overwrite=True),
    ):
        with pytest.raises(InvalidRequest, match="comes with the server"):
            change()


def test_putting_the_same_again_changes_nothing_so_that_it_may_be_retried(library: VoiceLibrary) -> None:
    first = library.put("me", voice(1))
    assert library.put("me", voice(1)) == first
    with pytest.raises(InvalidRequest, match="already"):
        library.put("me", voice(2))
    assert library.rename("me", "me") == first


def test_a_name_can_be_checked_before_there_is_a_voice_for_it(library: VoiceLibrary) -> None:
    assert run(library, "check", name="me") == []
    library.put("me", voice(1))
    with pytest.raises(InvalidRequest, match="there is a voice 'me' already"):
        run(library, "check", name="me")
    assert run(library, "check", name="me", overwrite=True) == []


def test_without_a_store_nothing_is_kept_and_the_option_is_named(tmp_path: Path) -> None:
    library = VoiceLibrary([tmp_path], spec=SPEC)
    with pytest.raises(InvalidRequest, match="--voice-store"):
        library.put("me", voice())


def test_a_broken_file_is_not_listed_and_can_be_replaced_or_deleted(
    library: VoiceLibrary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    library.put("me", voice(1))
    (tmp_path / "store/bad.npz").write_bytes(b"PK")
    (tmp_path / "store/.hidden.npz").write_bytes(b"PK")
    assert [entry.name for entry in library.entries()] == ["announcer", "me", "v2/en_speaker_0"]
    assert "bad" in caplog.text and "hidden" not in caplog.text
    with pytest.raises(InvalidRequest, match="the file of voice 'bad' cannot be read"):
        library.get("bad")
    assert content_hash(library.get(content_hash(voice(1)))) == content_hash(voice(1))
    library.put("bad", voice(2), overwrite=True)
    assert content_hash(library.get("bad")) == content_hash(voice(2))
    (tmp_path / "store/bad.npz").write_bytes(b"PK")
    assert library.delete("bad").hash == ""
    assert "bad" not in library.names()


def test_recent_voices_stay_in_memory_within_bounds(library: VoiceLibrary) -> None:
    for number in range(6):
        library.put(f"long{number}", voice(number, tokens=80_000))
    kept = [library.get(f"long{number}") for number in range(6)]
    assert 2 * kept[0].nbytes < MAX_CACHED_BYTES < 20 * kept[0].nbytes
    assert library.get("long5") is kept[5]
    for number in range(6, 20):
        library.put(f"long{number}", voice(number, tokens=80_000))
    assert library.cached_bytes <= MAX_CACHED_BYTES


def test_commands_answer_with_what_a_client_shows(library: VoiceLibrary) -> None:
    [put] = run(library, "put", name="de_speaker_9", **arrays(1))
    assert put | {"created": None} == {
        "name": "de_speaker_9",
        "hash": content_hash(voice(1)),
        "language": "de",
        "semantic_tokens": 100,
        "frames": 150,
        "seconds": 2.0,
        "stored": True,
        "created": None,
    }
    assert abs(datetime.fromisoformat(put["created"]) - datetime.now(UTC)) < timedelta(minutes=1)
    listed = run(library, "list")
    assert [(row["name"], row["stored"]) for row in listed] == [
        ("announcer", False),
        ("de_speaker_9", True),
        ("v2/en_speaker_0", False),
    ]
    assert listed[0]["created"] is None and listed[1] == put
    [renamed] = run(library, "rename", name=put["hash"], new_name="me")
    assert renamed == put | {"name": "me", "language": None}
    assert run(library, "delete", name="me") == [renamed]
    assert len(run(library, "list")) == 2


def test_get_answers_with_the_arrays_and_the_others_with_empty_ones(library: VoiceLibrary) -> None:
    outputs = run_command({"command": "get", "name": "announcer"}, library=library)
    for name, array in arrays(101).items():
        np.testing.assert_array_equal(outputs[name], array)
        assert outputs[name].dtype == np.int32
    outputs = run_command({"command": "list"}, library=library)
    assert [outputs[name].shape for name in arrays()] == [(0,), (2, 0), (8, 0)]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "the request lacks command"),
        ({"command": "drop"}, "'drop' is no command of this model; it knows list, get, check, put, delete, rename"),
        ({"command": "get"}, "the request lacks name"),
        ({"command": "rename", "name": "me"}, "the request lacks new_name"),
        ({"command": "put", "name": "me"}, "the voice lacks semantic_prompt"),
        ({"command": "put", "name": "../me", **arrays()}, "is no voice name"),
        ({"command": "check", "name": "My Voice"}, "is no voice name"),
        ({"command": "check", "name": "announcer"}, "comes with the server"),
        ({"command": "put", "name": "sha256:0123456789ab", **arrays()}, "is no voice name"),
        ({"command": "put", "name": "me", **arrays(), "coarse_prompt": np.ones((2, 9), int)}, "the same time"),
    ],
)
def test_a_bad_command_is_refused_in_one_sentence(library: VoiceLibrary, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        run_command(inputs, library=library)
    assert library.names() == ["announcer", "v2/en_speaker_0"]
