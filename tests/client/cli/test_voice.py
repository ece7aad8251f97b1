"""`bark voice …`, against the fake server."""

from __future__ import annotations

import io
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from bark_client import InvalidRequest, Voice
from bark_client.cli import picture
from bark_client.cli.main import app
from bark_client.cli.options import complete_stored_voice
from tests.client.fake_sound_device import FakeSoundDevice
from tests.client.fake_triton import FakeTriton
from tests.client.fake_voices import arrays_of, hash_of


def frames_of(path: str | Path) -> int:
    return Voice.load(path).frames


@pytest.fixture
def clip(bark: Any) -> str:
    """A sound file of two seconds in the current folder."""
    soundfile.write("ada.wav", 0.1 * np.sin(np.arange(16_000) * 0.1), 8_000)
    return "ada.wav"


def test_list_is_a_table_or_bare_names(bark: Any) -> None:
    table = bark("voice", "list", "--language", "en")
    assert table.exit_code == 0, table.output
    assert "English" in table.stdout
    assert "de_speaker" not in table.stdout
    assert "1 voice" in table.stdout
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in bark("voice", "list").stdout.splitlines()]
    assert ["v2/de_speaker_1", "German", "4.0 s", hash_of(arrays_of(300))[:19], "built in"] in rows
    (mine,) = [row for row in rows if row[:1] == ["me"]]
    assert mine[4].startswith("since 2026-11-2")
    assert bark("voice", "list", "--names").stdout.split() == ["me", "v2/de_speaker_1", "v2/en_speaker_6"]
    none = bark("voice", "list", "-l", "xx")
    assert (none.exit_code, none.stdout) == (0, "")
    assert "no voices of language 'xx'" in none.stderr


def test_show_says_all_about_a_voice_and_draws_it(bark: Any) -> None:
    pytest.importorskip("matplotlib")
    result = bark("voice", "show", "v2/en_speaker_6")
    assert result.exit_code == 0, result.output
    for fact in ("v2/en_speaker_6", "English", "6.0 s", "300 semantic; 450 frames of 8 codebooks", "built in"):
        assert fact in result.stdout
    assert hash_of(arrays_of(450)) in result.stdout
    assert "v2/en_speaker_6-voice.png: waveform and spectrogram" in result.stderr
    data = Path("v2/en_speaker_6-voice.png").read_bytes()
    assert struct.unpack(">II", data[16:24]) == (1600, 800)


def test_show_takes_a_file_and_a_hash_too(bark: Any) -> None:
    pytest.importorskip("matplotlib")
    Voice.from_arrays(arrays_of(75)).save("x.npz")
    shown = bark("voice", "show", "x.npz", "-o", "x.svg")
    assert shown.exit_code == 0, shown.output
    assert "x.npz" in shown.stdout and hash_of(arrays_of(75)) in shown.stdout
    assert Path("x.svg").exists()
    by_hash = bark("voice", "show", hash_of(arrays_of(150))[:19], "-o", "y.png")
    assert "since 2026" in by_hash.stdout
    assert "not known" in by_hash.stdout


def test_show_without_matplotlib_still_says_the_facts(bark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = bark("voice", "show", "me")
    assert result.exit_code == 0
    assert "100 semantic" in result.stdout
    assert "no picture: a picture needs matplotlib: pip install './client[picture]'" in result.stderr
    insisted = bark("voice", "show", "me", "-o", "me.png")
    assert (insisted.exit_code, insisted.stdout) == (1, "")


def test_preview_writes_pipes_and_plays(bark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    written = bark("voice", "preview", "v2/en_speaker_6")
    assert written.exit_code == 0, written.output
    assert "v2/en_speaker_6-preview.wav: English · 6.0 s" in written.stderr
    assert soundfile.info("v2/en_speaker_6-preview.wav").frames == 6 * 24_000
    piped = bark("voice", "preview", "me", "-o", "-")
    assert soundfile.read(io.BytesIO(piped.stdout_bytes))[0].size == 2 * 24_000
    assert bark("voice", "preview", "me", "--play").exit_code == 0
    assert (48_000, 1) in device.log
    assert not list(Path().glob("me*"))


def test_a_clip_is_not_overwritten_by_what_is_said_of_its_voice(bark: Any, clip: str) -> None:
    kept = Path(clip).read_bytes()
    assert bark("voice", "clone", clip, "--name", Path(clip).stem).exit_code == 0
    assert bark("voice", "preview", Path(clip).stem).exit_code == 0
    assert Path(clip).read_bytes() == kept


def test_show_says_its_facts_where_no_picture_can_be_written(bark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(picture, "check", refuse_writing)
    result = bark("voice", "show", "me")
    assert (result.exit_code, "100 semantic" in result.stdout) == (0, True)
    assert "no picture: can't write" in result.stderr
    assert bark("voice", "show", "me", "-o", "me.png").exit_code == 2


def refuse_writing(path: Path) -> None:
    raise InvalidRequest(f"can't write {path}: permission denied")


def test_of_a_long_voice_the_end_is_heard_and_all_of_it_told(bark: Any, triton: FakeTriton) -> None:
    triton.voices.stored["long"] = arrays_of(75 * 200)
    heard = bark("voice", "preview", "long")
    assert "the last 30.0 s" in heard.stderr, heard.output
    assert soundfile.info("long-preview.wav").frames == 30 * 24_000
    pytest.importorskip("matplotlib")
    assert "200.0 s" in bark("voice", "show", "long", "-o", "long.svg").stdout


def test_clone_keeps_a_voice_on_the_server(bark: Any, triton: FakeTriton, clip: str) -> None:
    result = bark("voice", "clone", clip, "--name", "ada")
    assert result.exit_code == 0, result.output
    assert triton.voices.stored["ada"]["fine_prompt"].shape == (8, 150)
    assert "warning: the clip is short (1.5 s)" in result.stderr
    assert 'bark say "Hello." --voice ada' in result.stderr
    taken = bark("voice", "clone", clip, "--name", "ada", "--duration", "1")
    assert (taken.exit_code, "choose another name, or give --overwrite." in taken.stderr) == (2, True)
    assert bark("voice", "clone", clip, "--name", "ada", "--duration", "1", "--overwrite").exit_code == 0
    assert triton.voices.stored["ada"]["fine_prompt"].shape == (8, 75)


def test_clone_warns_of_a_recording_that_was_cut_off(bark: Any, clip: str) -> None:
    data = Path(clip).read_bytes()
    Path("cut.wav").write_bytes(data[: len(data) * 4 // 5])
    said = bark("voice", "clone", "cut.wav", "--name", "ada").stderr
    assert "warning: cut.wav was cut off: its header promises 2.0 s of sound, and it ends at 1.6 s." in said


def test_clone_writes_a_voice_to_a_file_and_takes_a_pipe(bark: Any, triton: FakeTriton, clip: str) -> None:
    result = bark("voice", "clone", "-", "-o", "ada.npz", "--start", "0.5", input=Path(clip).read_bytes())
    assert result.exit_code == 0, result.output
    assert frames_of("ada.npz") == 112
    assert list(triton.voices.stored) == ["me"]


@pytest.mark.parametrize("loud", [False, True])
def test_a_pipe_that_is_no_clip_is_refused_without_a_command_for_a_file(bark: Any, loud: bool) -> None:
    file = io.BytesIO(b"no sound")
    if loud:
        soundfile.write(file, np.full(16_000, 86.9, np.float32), 8_000, format="WAV", subtype="FLOAT")
    refused = bark("voice", "clone", "-", "-o", "x.npz", input=file.getvalue())
    remedy = "make it quieter by a factor of 87 first" if loud else "convert it to WAV first"
    assert (refused.exit_code, remedy in refused.stderr, "ffmpeg" in refused.stderr) == (2, True, False), refused.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["clone", "ada.wav"], "give --name to keep it on the server, or -o me.npz"),
        (["clone", "ada.wav", "-o", "ada.wav"], "the suffix must be .npz"),
        (["clone", "ada.wav", "-o", "no/ada.npz"], "there is no folder no"),
        (["clone", "gone.wav", "-n", "ada"], "gone.wav: no such file"),
        (["clone", "folder", "-n", "ada"], "folder: a folder; give the path of one recording in it"),
        (["clone", "ada.wav", "-n", "ada", "--duration", "0.5"], "0.50 s of sound; a voice is cloned from 1 to 30 s"),
        (["export", "me", "-o", "me.wav"], "the suffix must be .npz"),
        (["import", "gone"], "gone: no such file or folder"),
        (["import", "ada.wav"], "`bark voice clone` makes one from sound"),
        (["import", "empty"], "empty: no voices in this folder"),
        (["import", "folder", "--name", "x"], "--name is for one file"),
        (["preview", "me", "-o", "me.txt"], "the suffix must be one of .wav"),
        (["show", "me", "-o", "me.wav"], "the suffix must be one of .png"),
        (["rename", "me"], "new_name"),
        (["rename", "me", " "], "name: empty"),
    ],
)
def test_mistakes_of_use_are_one_line_and_exit_2_before_any_work(
    bark: Any, triton: FakeTriton, clip: str, arguments: list[str], sentence: str
) -> None:
    Path("empty").mkdir()
    Path("folder").mkdir()
    Voice.from_arrays(arrays_of(75)).save("folder/x.npz")
    result = bark("voice", *arguments)
    assert result.exit_code == 2
    assert sentence.lower() in result.stderr.lower()
    assert "Traceback" not in result.output
    assert triton.voices.requests == []


def test_rename_and_its_refusal(bark: Any, triton: FakeTriton) -> None:
    result = bark("voice", "rename", "me", "you")
    assert (result.exit_code, list(triton.voices.stored)) == (0, ["you"])
    refused = bark("voice", "rename", "you", "v2/en_speaker_6")
    assert (refused.exit_code, "comes with the server" in refused.stderr) == (2, True)


def test_messages_name_options_not_arguments(bark: Any, triton: FakeTriton) -> None:
    triton.voices.stored["you"] = arrays_of(75)
    assert bark("voice", "rename", "me", "you").stderr.endswith("choose another name.\n"), "it has no --overwrite"
    soundfile.write("long.wav", np.zeros(8_000 * 31), 8_000)
    assert "pick a part with --start and --duration" in bark("voice", "clone", "long.wav", "-n", "x").stderr


def test_delete_asks_first(bark: Any, triton: FakeTriton) -> None:
    triton.voices.stored["you"] = arrays_of(75)
    kept = bark("voice", "delete", "me", "you", input="n\ny\n")
    assert kept.exit_code == 0, kept.output
    assert list(triton.voices.stored) == ["me"]
    assert "me stays" in kept.stderr and "you: deleted" in kept.stderr
    unasked = bark("voice", "delete", "me", input="")
    assert (unasked.exit_code, list(triton.voices.stored)) == (2, ["me"])
    assert "--yes" in unasked.stderr
    assert bark("voice", "delete", "me", "--yes").exit_code == 0
    assert triton.voices.stored == {}
    assert bark("voice", "delete", "v2/en_speaker_6", "-y").exit_code == 2


def test_export_writes_what_any_bark_reads(bark: Any) -> None:
    result = bark("voice", "export", "v2/en_speaker_6")
    assert result.exit_code == 0, result.output
    with np.load("v2/en_speaker_6.npz", allow_pickle=False) as arrays:
        assert set(arrays) == set(arrays_of(1))
        for name, array in arrays_of(450).items():
            np.testing.assert_array_equal(arrays[name], array)
    assert bark("voice", "export", "me", "-o", "mine.npz").exit_code == 0
    assert frames_of("mine.npz") == 150


def test_voices_that_share_the_last_part_of_their_names_have_files_of_their_own(bark: Any, triton: FakeTriton) -> None:
    pytest.importorskip("matplotlib")
    triton.voices.stored |= {"joe": arrays_of(75), "v2/joe": arrays_of(150)}
    for command in ("export", "preview", "show"):
        for name in ("joe", "v2/joe"):
            assert bark("voice", command, name).exit_code == 0
    for folder in (Path(), Path("v2")):
        assert sorted(path.name for path in folder.glob("joe*")) == ["joe-preview.wav", "joe-voice.png", "joe.npz"]
    assert (frames_of("joe.npz"), frames_of("v2/joe.npz")) == (75, 150)
    triton.voices.stored.clear()
    assert "2 voices imported" in bark("voice", "import", ".").stderr
    assert sorted(triton.voices.stored) == ["joe", "v2/joe"]


def test_what_is_said_of_a_voice_file_is_written_to_the_current_folder(bark: Any) -> None:
    pytest.importorskip("matplotlib")
    Path("voices").mkdir()
    Voice.from_arrays(arrays_of(75)).save("voices/ada.npz")
    for command in ("preview", "show"):
        assert bark("voice", command, "voices/ada.npz").exit_code == 0
    assert sorted(path.name for path in Path().glob("ada*")) == ["ada-preview.wav", "ada-voice.png"]
    assert [path.name for path in Path("voices").iterdir()] == ["ada.npz"]


def test_a_voice_that_does_not_exist_leaves_no_folder(bark: Any) -> None:
    for command in ("export", "preview", "show"):
        refused = bark("voice", command, "v3/nobody")
        assert (refused.exit_code, "no voice 'v3/nobody'" in refused.stderr) == (2, True)
    assert not Path("v3").exists()


def test_a_folder_that_cannot_be_made_is_named(bark: Any) -> None:
    Path("v2").write_text("a file")
    refused = bark("voice", "export", "v2/en_speaker_6")
    assert (refused.exit_code, "there is no folder v2" in refused.stderr) == (2, True)
    shown = bark("voice", "show", "v2/en_speaker_6")
    assert (shown.exit_code, "450 frames" in shown.stdout) == (0, True), shown.output


def test_a_voice_survives_export_and_import(bark: Any, triton: FakeTriton) -> None:
    bark("voice", "export", "me", "-o", "friend.npz")
    assert "1 voice imported" in bark("voice", "import", "friend.npz").stderr
    assert bark("voice", "import", "friend.npz", "--name", "pals/ada").exit_code == 0
    hashes = {hash_of(triton.voices.stored[name]) for name in ("me", "friend", "pals/ada")}
    assert len(hashes) == 1


def voices_in(folder: Path, **frames: int) -> Path:
    for name, count in frames.items():
        path = folder / f"{name.replace('__', '/')}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        Voice.from_arrays(arrays_of(count)).save(path)
    return folder


def test_a_folder_keeps_its_layout_as_names_and_what_is_there_stays(bark: Any, triton: FakeTriton) -> None:
    folder = voices_in(Path("voices"), me=75, announcer=90, v2__ru_speaker_3=105, v2__en_speaker_6=120)
    result = bark("voice", "import", str(folder))
    assert result.exit_code == 0, result.output
    assert {name: voice["fine_prompt"].shape[1] for name, voice in triton.voices.stored.items()} == {
        "me": 150,
        "announcer": 90,
        "v2/ru_speaker_3": 105,
    }
    assert "2 voices imported, 1 there already (--overwrite replaces them), 1 built in\n" in result.stderr
    assert triton.voices.commands() == ["list", "put", "put"]
    again = bark("voice", "import", str(folder), "--overwrite")
    assert again.exit_code == 0, again.output
    assert triton.voices.stored["me"]["fine_prompt"].shape == (8, 75)
    assert "3 voices imported, 1 built in\n" in again.stderr


def test_a_checkpoint_s_folder_of_three_files_a_voice_is_imported(bark: Any, triton: FakeTriton) -> None:
    folder = Path("bark-small/speaker_embeddings/v2")
    folder.mkdir(parents=True)
    for name, array in arrays_of(90).items():
        np.save(folder / f"it_speaker_0_{name}.npy", array.astype(np.int64))
        np.save(folder / f"it_speaker_1_{name}.npy", array)
    (folder / "it_speaker_1_fine_prompt.npy").unlink()
    result = bark("voice", "import", "bark-small")
    assert result.exit_code == 1
    assert (
        "left out: voice bark-small/speaker_embeddings/v2/it_speaker_1_fine_prompt.npy: no such file" in result.stderr
    )
    assert "1 of 2 left out" in result.stderr
    assert triton.voices.stored["v2/it_speaker_0"]["fine_prompt"].shape == (8, 90)


def test_a_bad_voice_among_good_ones_is_left_out_and_named(bark: Any, triton: FakeTriton) -> None:
    folder = voices_in(Path("voices"), a__b__too_deep=75, good=75, zebra=75)
    (folder / "broken.npz").write_bytes(b"PK\x03\x04")
    np.savez(folder / "evil.npz", semantic_prompt=np.array([object()]), coarse_prompt=[[1]], fine_prompt=[[1]])
    result = bark("voice", "import", str(folder))
    assert result.exit_code == 1
    assert sorted(triton.voices.stored) == ["good", "me", "zebra"]
    assert "left out: 'a/b/too_deep' is no voice name" in result.stderr
    assert "left out: voice voices/broken.npz: not a readable .npz" in result.stderr
    assert "left out: voice voices/evil.npz: not a readable .npz" in result.stderr
    assert "2 voices imported" in result.stderr and "3 of 5 left out" in result.stderr


def test_one_file_under_a_name_is_reported_as_one(bark: Any, triton: FakeTriton) -> None:
    voices_in(Path(), friend=75)
    done = bark("voice", "import", "friend.npz", "--name", "pals/ada")
    assert (done.exit_code, "1 voice imported as pals/ada" in done.stderr) == (0, True)
    taken = bark("voice", "import", "friend.npz", "--name", "me")
    assert (taken.exit_code, "there is a voice 'me' already" in taken.stderr) == (2, True)
    assert "1 voice imported" in bark("voice", "import", "friend.npz", "--name", "me", "--overwrite").stderr
    assert triton.voices.stored["me"]["fine_prompt"].shape == (8, 75)
    built_in = bark("voice", "import", "friend.npz", "--name", "v2/en_speaker_6")
    assert (built_in.exit_code, "comes with the server" in built_in.stderr) == (2, True)


def test_any_of_three_files_stands_for_the_voice(bark: Any, triton: FakeTriton) -> None:
    for name, array in arrays_of(90).items():
        np.save(f"it_speaker_0_{name}.npy", array)
    assert "1 voice imported as it_speaker_0" in bark("voice", "import", "it_speaker_0_fine_prompt.npy").stderr
    named = bark("voice", "import", "it_speaker_0_semantic_prompt.npy", "--name", "ada")
    assert "1 voice imported as ada" in named.stderr
    assert triton.voices.stored["ada"]["fine_prompt"].shape == (8, 90)


def test_a_bad_file_alone_is_an_error_like_any_other(bark: Any) -> None:
    Path("broken.npz").write_bytes(b"PK")
    result = bark("voice", "import", "broken.npz")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: voice broken.npz: not a readable .npz file")
    assert result.stderr.count("\n") == 1


def test_an_import_stops_when_the_server_does(bark: Any, triton: FakeTriton) -> None:
    folder = voices_in(Path("voices"), a=75, b=75)
    bark("voice", "list")
    triton.unary_plan.extend([grpc.StatusCode.INTERNAL])
    result = bark("voice", "import", str(folder))
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "put" not in triton.voices.commands()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("bark voice show v2/en", ["v2/en_speaker_6"]),
        ("bark voice export m", ["me"]),
        ("bark voice delete v", []),
        ("bark voice rename m", ["me"]),
        ("bark voice cl", ["clone"]),
    ],
)
def test_the_shell_completes_names_that_fit_the_command(triton: FakeTriton, words: str, expected: list[str]) -> None:
    environment = {
        "BARK_URL": triton.url,
        "_BARK_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    result = CliRunner().invoke(app, [], prog_name="bark", env=environment)
    assert result.output.split() == expected


def test_only_voices_of_the_store_are_offered_for_change(triton: FakeTriton) -> None:
    context = types.SimpleNamespace(params={"url": triton.url})
    offered: Callable[..., list[str]] = complete_stored_voice
    assert offered(context, "") == ["me"]
