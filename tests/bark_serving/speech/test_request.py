"""Requests: defaults are the checkpoint's, every limit is stated in one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec
from bark_serving.speech.request import MAX_TEXT, parse

SPEC = Spec(name="released")


def test_a_request_with_text_alone_gets_barks_defaults_and_a_seed() -> None:
    request = parse({"text": "Hello."}, spec=SPEC)
    assert (request.semantic_temperature, request.fine_temperature, request.min_eos_p) == (0.7, 0.5, 0.2)
    assert (request.coarse_history, request.coarse_window) == (630, 60)
    assert request.seed != parse({"text": "Hello."}, spec=SPEC).seed


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"text": ""}, "text is empty"),
        ({"text": " \n\t "}, "text is empty"),
        ({"text": "a" * (MAX_TEXT + 1)}, "20001 characters; the limit is 20000"),
        (
            {"semantic_temperature": -0.1},
            r"semantic_temperature -0.1 is out of range: it should be greater than or equal to 0",
        ),
        ({"coarse_temperature": float("nan")}, "coarse_temperature nan is out of range"),
        ({"fine_temperature": 11.0}, "less than or equal to 10"),
        ({"top_k": -1}, "top_k -1"),
        ({"top_p": 0.0}, "top_p 0.0"),
        ({"top_p": 1.5}, "top_p 1.5"),
        ({"min_eos_p": 0.0}, "min_eos_p"),
        ({"max_duration": 0.0}, "max_duration"),
        ({"coarse_history": 59}, "coarse_history 59 is out of range: 60 to 630"),
        ({"coarse_history": 631}, "60 to 630"),
        (
            {"coarse_window": 139},
            "coarse_window 139 is out of range: 2 to 138 coarse tokens beside a coarse_history of 630",
        ),
        ({"coarse_window": 0}, "coarse_window 0"),
        ({"language": "english"}, "language"),
        ({"voice": "a", "semantic_prompt": np.ones(3, np.int32)}, "not both"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_limit(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        parse({"text": "Hello.", **inputs}, spec=SPEC)
    assert str(caught.value).startswith("[INVALID_ARGUMENT] ") and "\n" not in str(caught.value)


def test_a_shorter_history_leaves_room_for_a_longer_window() -> None:
    request = parse({"text": "x", "coarse_history": 60, "coarse_window": 708}, spec=SPEC)
    assert request.coarse_window == 708
