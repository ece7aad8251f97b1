"""Checkpoints that several tests read. Each is written once per session."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from tests.build_engines.checkpoints import formats


@pytest.fixture(scope="session")
def suno_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of Suno's with Encodec beside it. Treat it as read-only."""
    folder = tmp_path_factory.mktemp("suno") / "Bark v0"
    networks = formats.save_suno_folder(folder)
    _networks[folder] = networks
    return folder


@pytest.fixture(scope="session")
def suno_networks(suno_folder: Path) -> dict[str, nn.Module]:
    """The networks that `suno_folder` was written from."""
    return _networks[suno_folder]


@pytest.fixture(scope="session")
def bark_model() -> Any:
    """transformers' BarkModel with random weights. Treat it as read-only."""
    return formats.bark_model()


@pytest.fixture(scope="session")
def bark_folder(tmp_path_factory: pytest.TempPathFactory, bark_model: Any, vocabulary: Path) -> Path:
    """`bark_model` as transformers saves it, with a vocabulary and a voice. Treat it as read-only."""
    folder = tmp_path_factory.mktemp("transformers") / "my-bark"
    formats.save_bark(folder, bark_model)
    (folder / "vocab.txt").write_bytes(vocabulary.read_bytes())
    formats.save_npy_voice(folder / "speaker_embeddings" / "v2", "en_speaker_6")
    return folder


@pytest.fixture
def suno(suno_folder: Path, vocabulary: Path, tmp_path: Path) -> Path:
    """A copy of Suno's checkpoint to be damaged."""
    folder = tmp_path / "suno"
    shutil.copytree(suno_folder, folder)
    (folder / "vocab.txt").symlink_to(vocabulary)
    return folder


@pytest.fixture
def transformers(bark_folder: Path, tmp_path: Path) -> Path:
    """A copy of transformers' checkpoint to be damaged."""
    folder = tmp_path / "transformers"
    shutil.copytree(bark_folder, folder)
    return folder


_networks: dict[Path, dict[str, nn.Module]] = {}
