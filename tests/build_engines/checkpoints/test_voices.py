"""Voices that come with a checkpoint: what cannot be used is left out and named, before a network is written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bark_serving.bundle import Bundle
from bark_serving.spec import Spec
from build_engines.checkpoints.importer import STEPS, Request, import_bundle
from build_engines.checkpoints.voices import LeftOut, choose, read_voices
from build_engines.cli import app
from tests.build_engines.checkpoints import formats

NAME = "v2/en_speaker_6"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one sound voice of three .npy files."""
    formats.save_npy_voice(tmp_path / "voices" / "v2", "en_speaker_6")
    return tmp_path / "voices"


def voices(folder: Path) -> tuple[list[str], list[LeftOut]]:
    """The names of the voices of a folder, and those that are left out."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    left_out: list[LeftOut] = []
    chosen = choose(names, left_out=left_out.append)
    return list(read_voices(chosen, folder, spec=Spec(name="test"), left_out=left_out.append)), left_out


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.array([[0, 1024]] * 8), "v2/en_speaker_6: fine_prompt holds 0..1024; its tokens must be in 0..1023"),
        (np.zeros((2, 5), np.int64), "en_speaker_6: fine_prompt has shape [2, 5]; it must be [8, frames]"),
        (np.full((8, 5), 0.5, np.float32), "en_speaker_6: fine_prompt holds numbers that are not whole; it must hold"),
        (np.zeros((8, 0), np.int64), "en_speaker_6: fine_prompt is empty"),
        (np.array([None]), "_fine_prompt.npy is not an array"),
    ],
    ids=["range", "rows", "floats", "empty", "pickle"],
)
def test_a_broken_voice_is_left_out_and_named(folder: Path, values: np.ndarray[Any, Any], problem: str) -> None:
    np.save(folder / f"{NAME}_fine_prompt.npy", values, allow_pickle=True)
    names, left_out = voices(folder)
    assert names == []
    assert [voice.name for voice in left_out] == [NAME]
    assert problem in left_out[0].problem


def test_a_voice_whose_histories_cover_different_times_is_left_out(folder: Path) -> None:
    """Neither builder nor server could use it, because both continue all histories from the same time."""
    np.save(folder / f"{NAME}_coarse_prompt.npy", np.zeros((2, 400), np.int64))
    names, left_out = voices(folder)
    assert names == []
    assert "coarse_prompt has 400 frames for 50 semantic tokens" in left_out[0].problem


@pytest.mark.parametrize("array", ["semantic", "coarse", "fine"])
def test_a_voice_without_one_of_its_arrays_is_left_out(folder: Path, array: str) -> None:
    (folder / f"{NAME}_{array}_prompt.npy").unlink()
    names, left_out = voices(folder)
    assert names == []
    assert [voice.name for voice in left_out] == [NAME]
    assert f"en_speaker_6_{array}_prompt.npy is missing" in left_out[0].problem


def test_the_command_imports_the_rest_and_its_status_tells(bark_folder: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "bundle"
    shutil.copytree(bark_folder, source)
    v2 = source / "speaker_embeddings" / "v2"
    np.savez(v2 / "half.npz", **formats.voice())
    (v2 / "half.npz").write_bytes((v2 / "half.npz").read_bytes()[:1_000])
    np.savez(v2 / "my voice (1).npz", **formats.voice())
    done = CliRunner().invoke(app, ["import", str(source), str(out)])
    assert done.exit_code == 3, done.stderr
    assert "2 of 3 voices were left out:" in done.stderr
    assert "v2/half: " in done.stderr
    assert "v2/my voice (1): the server would not list this name." in done.stderr
    bundle = Bundle(out)
    bundle.verify()
    assert [path.name for path in bundle.voices.rglob("*.npz")] == ["en_speaker_6.npz"]
    assert "Exit status" in CliRunner().invoke(app, ["import", "--help"]).stdout


def test_voices_are_checked_before_networks(bark_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(bark_folder, source)
    (source / "speaker_embeddings" / "v2" / "empty.npz").touch()
    told: list[str] = []
    import_bundle(
        Request(str(source)),
        tmp_path / "bundle",
        on_step=lambda step, _: told.append(step),
        on_left_out=lambda voice: told.append(voice.name),
    )
    assert told == ["locating", "reading", "voices", "v2/empty", *(step for step in STEPS[3:] if step != "hubert")]
