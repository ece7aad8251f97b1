"""Bark's own tokenizer, and the miniature's."""

from __future__ import annotations

from pathlib import Path

import pytest

from bark_serving.bundle import MINIATURE, Bundle, Vocabulary
from build_engines.bundles.tokenizers import read_tokenizer


@pytest.fixture(scope="session")
def bark(vocabulary: Path, tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    """What Bark's tokenizer can write."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    read_tokenizer(vocabulary).save(str(path))
    return Vocabulary(path)


@pytest.fixture(scope="session")
def miniature() -> Vocabulary:
    """What the miniature's tokenizer can write: little more than English letters and digits."""
    return Vocabulary(Bundle(MINIATURE).tokenizer)
