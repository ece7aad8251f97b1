"""Voices of the server through both clients: list, get, save, rename, delete, clone, preview."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import soundfile

from bark_client import InvalidRequest, ServerError, ServerUnavailable, Voice, VoiceInfo
from tests.client.fake_triton import FakeTriton, free_port
from tests.client.fake_voices import arrays_of, hash_of

TONE = 0.1 * np.sin(np.arange(32_000) * 0.05).astype(np.float32)  # 2 s at 16 kHz


def assert_same(voice: Voice, arrays: dict[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(voice, name), array)


def test_voices_are_listed_with_all_that_the_server_tells(client: Any) -> None:
    me, german, english = client.voices()
    assert me == VoiceInfo(
        name="me",
        language=None,
        semantic_tokens=100,
        frames=150,
        seconds=2.0,
        hash=hash_of(arrays_of(150)),
        stored=True,
        created=datetime(2026, 11, 22, 15, 4, 5, tzinfo=UTC),
    )
    assert (me.language_name, german.language_name) == ("", "German")
    assert (english.name, english.stored, english.created) == ("v2/en_speaker_6", False, None)


def test_voices_are_filtered_by_language(client: Any) -> None:
    assert [voice.name for voice in client.voices(language="de")] == ["v2/de_speaker_1"]
    assert client.voices(language="xx") == []


@pytest.mark.parametrize("row", [b'{"name": "me"}', b"{", b"[]", b'{"name": "me", "language": null, "hash": 7}'])
def test_a_list_of_voices_that_cannot_be_read_is_the_servers_fault(client: Any, triton: FakeTriton, row: bytes) -> None:
    triton.voices.rows = [row]
    with pytest.raises(ServerError, match="answer of 'voices' can't be read"):
        client.voices()


def test_a_voice_comes_whole_by_its_name_or_its_hash(client: Any) -> None:
    voice = client.get_voice("me")
    assert_same(voice, arrays_of(150))
    info = client.voice_info(voice.hash[:19])
    assert (info.name, info.hash) == ("me", voice.hash)
    assert_same(client.get_voice(info.hash), arrays_of(150))


def test_a_voice_that_is_not_there_is_missed_in_the_servers_words(client: Any) -> None:
    for ask in (client.get_voice, client.voice_info, client.delete_voice, client.preview_voice):
        with pytest.raises(InvalidRequest, match="there is no voice 'gone'"):
            ask("gone")


@pytest.mark.parametrize("form", ["voice", "mapping", "path", "name"])
def test_a_voice_is_saved_in_whatever_form_it_was_given(
    client: Any, triton: FakeTriton, tmp_path: Path, form: str
) -> None:
    arrays = arrays_of(300)
    voice = Voice.from_arrays(arrays)
    forms = {"voice": voice, "mapping": arrays, "path": voice.save(tmp_path / "x.npz"), "name": "v2/de_speaker_1"}
    info = client.save_voice("ada", forms[form])
    assert (info.name, info.frames, info.hash, info.stored) == ("ada", 300, voice.hash, True)
    assert_same(client.get_voice("ada"), arrays)


def test_a_name_that_is_taken_is_kept_unless_told_otherwise(client: Any) -> None:
    with pytest.raises(InvalidRequest, match="already"):
        client.save_voice("me", arrays_of(75))
    assert client.voice_info("me").frames == 150
    assert client.save_voice("me", arrays_of(75), overwrite=True).frames == 75


def test_a_voice_is_renamed_and_deleted(client: Any, triton: FakeTriton) -> None:
    assert client.rename_voice("me", "you").name == "you"
    assert list(triton.voices.stored) == ["you"]
    assert client.delete_voice("you") is None
    assert triton.voices.stored == {}
    with pytest.raises(InvalidRequest, match="comes with the server"):
        client.delete_voice("v2/en_speaker_6")


@pytest.mark.parametrize(("name", "sentence"), [(" ", "name: empty"), ("", "name: empty"), (7, "name: expected str")])
def test_a_name_that_is_none_is_refused_before_anything_is_sent(
    client: Any, triton: FakeTriton, name: Any, sentence: str
) -> None:
    for ask in (client.get_voice, client.delete_voice, lambda name: client.rename_voice("me", name)):
        with pytest.raises(InvalidRequest, match=sentence):
            ask(name)
    with pytest.raises(InvalidRequest, match=sentence):
        client.save_voice(name, arrays_of(75))
    assert triton.voices.requests == []


def test_a_clip_becomes_a_voice_and_gets_its_warnings(client: Any, triton: FakeTriton) -> None:
    voice = client.clone_voice((TONE, 16_000))
    assert_same(voice, arrays_of(150))
    assert voice.warnings == ("the clip is short (1.5 s)",)
    ((model, inputs),) = triton.voices.requests
    assert (model, inputs["sample_rate"], inputs["sample_rate"].dtype) == ("clone_voice", 16_000, np.int32)
    assert inputs["audio"].dtype == np.float32
    np.testing.assert_array_equal(inputs["audio"], TONE[None])


def test_a_clone_with_a_name_is_kept_and_can_be_spoken_with(client: Any, triton: FakeTriton, tmp_path: Path) -> None:
    clip = tmp_path / "ada.flac"
    soundfile.write(clip, np.stack([TONE, TONE / 2], axis=1), 16_000)
    voice = client.clone_voice(str(clip), name="ada")
    assert triton.voices.commands() == ["check", "clone_voice", "put"]
    assert triton.voices.requests[1][1]["audio"].shape == (2, 32_000)
    assert_same(voice, triton.voices.stored["ada"])
    client.speak("Hello.", voice="ada")
    assert triton.requests[0]["voice"] == b"ada"


def test_a_name_that_cannot_be_had_shows_before_the_work_of_cloning(client: Any, triton: FakeTriton) -> None:
    for name, overwrite, reason in (
        ("me", False, "allow overwriting"),
        ("v2/en_speaker_6", True, "comes with the server"),
        ("My Voice", False, "no voice name"),
        ("", False, "name: empty"),
    ):
        with pytest.raises(InvalidRequest, match=reason):
            client.clone_voice((TONE, 16_000), name=name, overwrite=overwrite)
    assert "clone_voice" not in triton.voices.commands()
    client.clone_voice((TONE, 16_000), name="me", overwrite=True)
    assert triton.voices.commands()[-2:] == ["clone_voice", "put"]


def test_only_the_part_that_was_asked_for_is_cloned(client: Any, triton: FakeTriton) -> None:
    client.clone_voice((TONE, 16_000), start=0.25, duration=1.5)
    np.testing.assert_array_equal(triton.voices.requests[0][1]["audio"], TONE[None, 4_000:28_000])


def test_a_clip_that_cannot_be_cloned_is_refused_before_anything_is_sent(client: Any, triton: FakeTriton) -> None:
    with pytest.raises(InvalidRequest, match="a voice is cloned from 1 to 30 s"):
        client.clone_voice((TONE[:1600], 16_000), name="ada")
    assert triton.voices.requests == []


def test_a_clone_of_nothing_is_the_servers_fault(
    client: Any, triton: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = {name: array[..., :0] for name, array in arrays_of(75).items()}
    monkeypatch.setattr("tests.client.fake_voices.arrays_of", lambda frames: empty)
    with pytest.raises(ServerError, match="answer of 'clone_voice' can't be read"):
        client.clone_voice((TONE, 16_000), name="ada")
    assert "ada" not in triton.voices.stored


def test_a_preview_is_the_voices_own_audio(client: Any, triton: FakeTriton, tmp_path: Path) -> None:
    preview = client.preview_voice("v2/en_speaker_6")
    assert (preview.sample_rate, preview.samples.shape, preview.seconds) == (24_000, (144_000,), 6.0)
    assert int(np.argmax(np.abs(np.fft.rfft(preview.samples))) / 6.0) == 440
    assert preview.caption == "English · 6.0 s · 300 semantic tokens, 450 frames"
    assert soundfile.info(preview.save(tmp_path / "x.flac")).frames == 144_000
    page = preview._repr_html_()
    assert "<audio controls" in page and "v2/en_speaker_6" in page
    (_, (model, inputs)) = triton.voices.requests
    assert (model, inputs["codes"].shape, inputs["codes"].dtype) == ("encodec_decode", (1, 8, 450), np.int32)


def test_a_voice_that_the_server_does_not_have_can_be_previewed_too(
    client: Any, triton: FakeTriton, tmp_path: Path
) -> None:
    path = Voice.from_arrays(arrays_of(75)).save(tmp_path / "x.npz")
    assert client.preview_voice(path).title == "x.npz"
    assert client.preview_voice(arrays_of(75)).seconds == 1.0
    assert triton.voices.commands() == ["encodec_decode", "encodec_decode"]


def test_a_speech_lends_its_voice_to_the_lines_that_follow(client: Any, triton: FakeTriton) -> None:
    ada = client.speak("Hello, I am Ada.", return_tokens=True).as_voice()
    for line in ("And this is still me.", "So is this."):
        client.speak(line, voice=ada)
    first, *rest = triton.requests
    assert "semantic_prompt" not in first
    for sent in rest:
        assert_same(ada, {name: sent[name] for name in arrays_of(75)})
    client.save_voice("ada", ada)
    client.speak("And I will be.", voice="ada")
    assert_same(ada, triton.voices.stored["ada"])


def test_harmless_calls_are_repeated_while_the_server_is_unavailable(client: Any, triton: FakeTriton) -> None:
    for ask in (
        client.voices,
        lambda: client.get_voice("me"),
        lambda: client.save_voice("ada", arrays_of(75)),
        lambda: client.clone_voice((TONE, 16_000)),
        lambda: client.preview_voice(arrays_of(75)),
    ):
        triton.unary_plan.append(grpc.StatusCode.UNAVAILABLE)
        ask()
        assert not triton.unary_plan


def test_what_could_be_done_already_is_not_sent_again(client: Any, triton: FakeTriton) -> None:
    for change in (lambda: client.delete_voice("me"), lambda: client.rename_voice("me", "you")):
        triton.unary_plan.append(grpc.StatusCode.UNAVAILABLE)
        with pytest.raises(ServerUnavailable):
            change()
    assert list(triton.voices.stored) == ["me"]


def test_a_server_that_comes_up_late_is_waited_for_before_a_change(connect: Callable[..., Any]) -> None:
    port = free_port()
    late: list[FakeTriton] = []
    starter = threading.Timer(0.4, lambda: late.append(FakeTriton(port)))
    starter.start()
    try:
        connect(f"127.0.0.1:{port}", connect_timeout=10).delete_voice("me")
        assert late[0].voices.commands() == ["delete"]
        assert late[0].voices.stored == {}
    finally:
        starter.join()
        late[0].close()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b"\n<!DOCTYPE html>", "it is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a pointer of Git LFS"),
    ],
)
def test_what_stands_in_a_voice_file_s_place_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "me.npz"
    path.write_bytes(content)
    for load in (lambda: Voice.load(path), lambda: Voice.load_parts({"semantic_prompt": path})):
        with pytest.raises(InvalidRequest, match=f"voice {path}: {problem}"):
            load()
