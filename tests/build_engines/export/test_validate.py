"""How much of an exported graph's integer outputs may differ from the network's."""

from __future__ import annotations

import numpy as np
import pytest

from build_engines.errors import ExportError
from build_engines.export.validate import MAX_SHORTFALL, check_choice, check_equal, check_samples


def test_one_prediction_of_few_may_lie_on_a_boundary() -> None:
    reference = np.zeros((1, 24), np.int32)
    found = reference.copy()
    found[0, 5] = 1
    check_equal("predictions", reference, found)
    found[0, 6] = 1
    with pytest.raises(ExportError, match="predictions: 2 of 24 differ from the network's, 1% may"):
        check_equal("predictions", reference, found)


def test_a_sample_that_is_not_that_of_the_logits_is_told_so() -> None:
    sample = {"temperature": np.zeros((1, 1), np.float32), "uniforms": np.zeros((1, 24), np.float32)}
    logits = np.zeros((1, 24, 4), np.float32)
    logits[..., 3] = 1
    predictions = np.full((1, 24), 3, np.int32)
    check_samples("fine", sample, {"logits": logits, "predictions": predictions})
    predictions[0, :2] = 0
    with pytest.raises(ExportError, match="fine: predictions: 2 of 24 do not follow from the graph's own logits"):
        check_samples("fine", sample, {"logits": logits, "predictions": predictions})


def test_codes_that_follow_from_one_code_count_once() -> None:
    reference = np.zeros((1, 8, 9), np.int32)
    found = reference.copy()
    found[0, 2:, 4] = 1
    check_equal("codes", reference, found)
    found[0, 7, 5] = 1
    with pytest.raises(ExportError, match="2 of 9 differ"):
        check_equal("codes", reference, found)


def test_a_token_may_score_as_the_best_does_and_no_less() -> None:
    scores = np.array([[[0.0, 1.0, 1.0 - MAX_SHORTFALL / 2, 0.9]]], np.float32)
    check_choice("hubert", scores, np.array([[2]], np.int32), at_most=MAX_SHORTFALL)
    with pytest.raises(ExportError, match=r"hubert: a token scores 10\.0% of the range below the best, 0\.1% may be"):
        check_choice("hubert", scores, np.array([[3]], np.int32), at_most=MAX_SHORTFALL)
