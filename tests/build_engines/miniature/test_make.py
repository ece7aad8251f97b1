"""All steps from sentences to a bundle in seconds, with a teacher that hums and networks of a few weights."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from bark_serving.bundle import Bundle, mapped
from bark_serving.networks import load
from bark_serving.spec import NETWORKS
from bark_serving.voices.files import read
from build_engines.errors import OutputError
from build_engines.miniature.make import STEPS, make_miniature
from build_engines.miniature.recipe import Recipe
from tests.build_engines.miniature.conftest import run, small_recipe

pytestmark = pytest.mark.usefixtures("few_sentences")


@dataclass(frozen=True)
class Made:
    """What a run, whole or in parts, left: the steps that each part did, the work folder and the bundle."""

    steps: list[list[str]]
    work: Path
    bundle: Bundle


@pytest.fixture(scope="module")
def made(few_sentences: None, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """All steps at once."""
    folder = tmp_path_factory.mktemp("at-once")
    steps = run(folder / "work", folder / "out", recipe=small_recipe())
    return Made([steps], folder / "work", Bundle(folder / "out"))


@pytest.fixture(scope="module")
def continued(few_sentences: None, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The same recipe in two parts."""
    folder = tmp_path_factory.mktemp("in-parts")
    first = run(folder / "work", folder / "out", recipe=small_recipe(), until="semantic")
    second = run(folder / "work", folder / "out", recipe=small_recipe())
    return Made([first, second], folder / "work", Bundle(folder / "out"))


def test_the_bundle_loads_and_has_one_voice_per_speaker(made: Made) -> None:
    assert made.steps == [[step for step in STEPS if step != "bundle"]]
    bundle = made.bundle
    bundle.verify()
    for network in NETWORKS:
        assert all(torch.isfinite(weight).all() for weight in load(network, bundle).state_dict().values())
    table = mapped(bundle.weights("semantic"), "token_embedding.weight")
    assert table.dtype == np.float32 and np.isfinite(table).all()
    assert sorted(path.name for path in bundle.voices.iterdir()) == ["high.npz", "low.npz"]
    for path in bundle.voices.iterdir():
        with path.open("rb") as file:
            voice = read(file, name=path.stem, spec=bundle.spec)
        assert len(voice.semantic) * 3 == voice.fine.shape[1] * 2


def test_the_same_recipe_makes_the_same_bytes_at_once_and_in_parts(made: Made, continued: Made) -> None:
    one, two = made.bundle, continued.bundle
    assert one.folder != two.folder
    assert one.spec.files == two.spec.files and one.hash == two.hash


def test_steps_that_are_done_are_skipped(continued: Made, tmp_path: Path) -> None:
    assert continued.steps == [list(STEPS[:4]), ["codec", "codes", "coarse", "fine", "expected", "fine_expected"]]
    assert run(continued.work, tmp_path / "again", recipe=small_recipe()) == []
    assert Bundle(tmp_path / "again").hash == continued.bundle.hash


def test_a_work_folder_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    work = tmp_path / "work"
    run(work, tmp_path / "out", recipe=small_recipe(), until="recordings")
    with (work / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match=f"Another process is at work in {work}"):
            run(work, tmp_path / "out", recipe=small_recipe(), until="times")
    assert run(work, tmp_path / "out", recipe=small_recipe(), until="times") == ["times"]


def test_an_existing_folder_is_told_before_the_work_begins(tmp_path: Path) -> None:
    out, work = tmp_path / "out", tmp_path / "work"
    out.mkdir()
    with pytest.raises(OutputError, match="out exists"):
        make_miniature(
            out, work=work, recipe=Recipe(), teacher=lambda _: pytest.fail("it spoke"), on_progress=lambda *_: None
        )
    assert not work.exists()


def test_a_work_folder_belongs_to_one_recipe(tmp_path: Path) -> None:
    run(tmp_path / "work", tmp_path / "out", recipe=small_recipe(), until="recordings")
    with pytest.raises(OutputError, match="another recipe") as raised:
        run(tmp_path / "work", tmp_path / "out", recipe=small_recipe(seed=1))
    assert "--work" in raised.value.remedy
