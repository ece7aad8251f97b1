"""The numbers of a checkpoint: read as Python's, numpy's or a config's, and refused if they do not fit each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.spec import Spec
from build_engines.checkpoints.formats.config import check_numbers
from build_engines.checkpoints.formats.suno import read_semantic
from build_engines.errors import CheckpointError
from tests.build_engines.checkpoints import formats
from tests.build_engines.checkpoints.refusals import refused


def test_missing_or_invalid_model_args_are_named(suno: Path) -> None:
    path = suno / "text_2.pt"
    checkpoint = torch.load(path, weights_only=False)
    for arguments, message in (
        ({**checkpoint["model_args"], "n_head": "two"}, r"text_2\.pt: model_args\.n_head is 'two'"),
        ({**checkpoint["model_args"], "n_head": 3}, r"text_2\.pt: model_args: .*32 is not a multiple of heads 3"),
        (None, r"text_2\.pt: there is no model_args"),
    ):
        torch.save({**checkpoint, "model_args": arguments}, path)
        refused(suno, message)


def test_numpy_s_numbers_in_model_args_are_read(suno: Path, tmp_path: Path) -> None:
    path = suno / "text_2.pt"
    checkpoint = torch.load(path, weights_only=False)
    kinds = (np.int64, np.int32, np.dtype(">i8").type)
    arguments = {
        key: kinds[place % 3](value) if isinstance(value, int) and not isinstance(value, bool) else np.bool_(value)
        for place, (key, value) in enumerate(checkpoint["model_args"].items())
    }
    plain = read_semantic(path).spec
    torch.save({**checkpoint, "model_args": arguments}, path)
    assert read_semantic(path).spec == plain


@pytest.mark.parametrize("value", [np.float64(2.0), np.arange(2), True, np.int64(-1)])
def test_what_is_no_whole_number_in_model_args_is_refused(suno: Path, value: Any) -> None:
    path = suno / "text_2.pt"
    checkpoint = torch.load(path, weights_only=False)
    torch.save({**checkpoint, "model_args": {**checkpoint["model_args"], "n_head": value}}, path)
    with pytest.raises(CheckpointError, match=r"model_args\.n_head is .*, expected a positive whole number"):
        read_semantic(path)


@pytest.mark.parametrize(
    ("stage", "numbers", "message"),
    [
        ("semantic", {"end_token": 9_999}, r"semantic\.end_token is 9999, which is the number of a code; .*10000"),
        ("semantic", {"infer_token": 12}, r"semantic\.infer_token is 12, which is the number of a code"),
        ("semantic", {"text_offset": 100}, r"semantic\.text_offset is 100, which is the number of a code"),
        ("coarse", {"semantic_pad": 12_047}, r"coarse\.semantic_pad is 12047, .* at least 12048"),
        ("coarse", {"infer_token": 10_001}, r"coarse\.infer_token is 10001, which is the number of a code"),
        ("fine", {"pad_token": 1_023}, r"fine\.pad_token is 1023, .* at least 1024"),
    ],
)
def test_special_tokens_among_codes_are_refused(stage: str, numbers: dict[str, int], message: str) -> None:
    spec = Spec(name="test")
    check_numbers(spec)
    changed = getattr(spec, stage).model_copy(update=numbers)
    with pytest.raises(CheckpointError, match=message):
        check_numbers(spec.model_copy(update={stage: changed}))


def test_a_token_head_of_another_vocabulary_is_refused() -> None:
    spec = Spec(name="test")
    assert spec.hubert
    head = spec.hubert.head.model_copy(update={"output_vocab": 10_003})
    with pytest.raises(CheckpointError, match=r"the token head makes 10003 different tokens, .* has 10000"):
        check_numbers(spec.model_copy(update={"hubert": spec.hubert.model_copy(update={"head": head})}))


def test_the_miniature_s_numbers_pass_the_checks() -> None:
    check_numbers(Bundle(MINIATURE).spec)


def test_files_of_different_models_are_refused_by_their_numbers(suno: Path) -> None:
    formats.save_suno(suno / "text_2.pt", input_vocab_size=20_000, output_vocab_size=10_048)
    refused(suno, r"semantic\.text_pad is 129595, the limit is 19999")


@pytest.mark.parametrize(
    ("change_to", "message"),
    [
        ({"codec_config": {"use_causal_conv": False}}, r"use_causal_conv is False; only True is supported"),
        ({"semantic_config": {"num_heads": 5}}, r"config\.json: semantic_config: .*not a multiple of heads 5"),
        ({"coarse_acoustics_config": {"hidden_size": 64}}, r"coarse tensor .* has shape .*32.*, expected .*64"),
        ({"fine_acoustics_config": {"n_codes_total": 9}}, r"embeddings 8 of 9 is missing"),
    ],
)
def test_a_config_that_fits_neither_weights_nor_our_networks_is_named(
    transformers: Path, change_to: dict[str, dict[str, Any]], message: str
) -> None:
    path = transformers / "config.json"
    config = json.loads(path.read_text())
    for key, values in change_to.items():
        config[key] |= values
    path.write_text(json.dumps(config))
    refused(transformers, message)
