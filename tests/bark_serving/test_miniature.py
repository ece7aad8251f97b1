"""The bundle that comes with the package."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import bark_serving
from bark_serving.bundle import MINIATURE, Bundle, Vocabulary
from bark_serving.spec import NETWORKS
from bark_serving.voices.files import read

EMBEDDED = Path(bark_serving.__file__).parent / MINIATURE
MEGABYTES = 30


def test_its_name_means_the_packages_own_folder_unless_there_is_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Bundle("miniature").folder == EMBEDDED
    shutil.copytree(EMBEDDED, tmp_path / "miniature")
    assert Bundle("miniature").folder == Path("miniature")


def test_it_is_whole_and_small() -> None:
    bundle = Bundle(MINIATURE)
    bundle.verify()
    assert all(bundle.weights(network).exists() for network in NETWORKS)
    size = sum(path.stat().st_size for path in bundle.folder.rglob("*") if path.is_file())
    assert size < MEGABYTES * 1e6


def test_its_voices_fit_it_and_its_card_says_what_it_is() -> None:
    bundle = Bundle(MINIATURE)
    names = sorted(path.stem for path in bundle.voices.glob("*.npz"))
    assert names == ["jo", "joe"]
    for name in names:
        with (bundle.voices / f"{name}.npz").open("rb") as file:
            assert read(file, name=name, spec=bundle.spec).fine.shape[0] == bundle.spec.encodec.codebooks
    card = (bundle.folder / "README.md").read_text()
    assert "miniature" in card and "demonstration" in card and "CC0" in card


def test_it_has_a_token_for_whatever_plain_english_is_written_in() -> None:
    tokenise = Vocabulary(Bundle(MINIATURE).tokenizer).tokenise
    unknown = tokenise("[laughs]")[0]  # of Bark's own signs it knows none
    assert unknown not in tokenise("“It's 5 o'clock”, isn’t it? Well - no!")
