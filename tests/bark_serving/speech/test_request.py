"""Requests: defaults are the checkpoint's, every limit is stated in one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec
from bark_serving.speech.request import (
    MAX_TEXT_CHARACTERS,
    SpeechRequest,
    check_parameters,
    fast_options,
    long_windows,
    parse,
    warnings,
)
from bark_serving.speech.stage_capabilities import BuiltIn, StageCapabilities

SPEC = Spec(name="released")
OWN = StageCapabilities()
ENGINE = StageCapabilities(
    own_inputs=False, table_type="FP16", built_in=BuiltIn(temperature=0.6, min_eos_p=0.3), whole_windows=True
)


def request(capabilities: StageCapabilities = OWN, **inputs: Any) -> SpeechRequest:
    return parse({"text": "Hello.", **inputs}, spec=SPEC, capabilities=capabilities)


def warned(capabilities: StageCapabilities = OWN, **inputs: Any) -> list[str]:
    return list(warnings(request(capabilities, **inputs), spec=SPEC, capabilities=capabilities))


def test_a_request_with_text_alone_gets_barks_defaults_and_a_seed() -> None:
    plain = request()
    assert (plain.semantic_temperature, plain.fine_temperature, plain.min_eos_p) == (0.7, 0.5, 0.2)
    assert (plain.coarse_history, plain.coarse_window) == (630, 60)
    assert plain.seed != request().seed


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"text": ""}, "text is empty"),
        ({"text": " \n\t "}, "text is empty"),
        ({"text": "a" * (MAX_TEXT_CHARACTERS + 1)}, "20001 characters; the limit is 20000"),
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
        ({"language": "english"}, "language 'english' is none that this checkpoint speaks; it speaks en, de, es, fr"),
        ({"language": ""}, "Give one of them"),
        ({"markdown": 7}, "markdown 7 is out of range"),
        ({"speed": "quick"}, "speed 'quick' is out of range: it should be 'exact' or 'fast'"),
        ({"voice": "a", "semantic_prompt": np.ones(3, np.int32)}, "not both"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_limit(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        request(**inputs)
    assert str(caught.value).startswith("[INVALID_ARGUMENT] ") and "\n" not in str(caught.value)


def test_a_shorter_history_leaves_room_for_a_longer_window() -> None:
    assert request(coarse_history=60, coarse_window=708).coarse_window == 708


def test_a_request_that_says_nothing_gets_what_the_engine_has() -> None:
    plain = request(ENGINE)
    assert (plain.semantic_temperature, plain.min_eos_p) == (0.6, 0.3)
    assert warned(ENGINE) == []


def test_another_min_eos_p_than_the_engines_is_refused_with_both_numbers() -> None:
    with pytest.raises(InvalidRequest, match=r"min_eos_p 0\.2 differs from the 0\.3 .* leave it out"):
        request(ENGINE, min_eos_p=0.2)
    request(ENGINE, min_eos_p=float(np.float32(0.3)))  # as a client sends it
    assert request(min_eos_p=0.7).min_eos_p == 0.7


def test_a_plan_of_whole_windows_refuses_shorter_ones() -> None:
    with pytest.raises(InvalidRequest, match=r"fine_padding cannot be turned off here.* Leave it out"):
        request(ENGINE, fine_padding=False)
    assert request(ENGINE, fine_padding=True).fine_padding
    assert not request(fine_padding=False).fine_padding


@pytest.mark.parametrize("inputs", [{"semantic_temperature": 0.0}, {"semantic_temperature": 0.9}, {"top_k": 50}])
def test_what_only_shifts_the_end_of_speech_is_served_with_a_warning(inputs: dict[str, float]) -> None:
    (warning,) = warned(ENGINE, **inputs)
    assert "earlier or later" in warning and "0.6" in warning
    assert warned(**inputs) == []


def test_another_order_of_top_p_is_warned_of_too() -> None:
    found = warned(ENGINE, top_p=0.9)
    assert len(found) == 2 and "after the temperature" in found[1]


def test_a_max_duration_beyond_the_checkpoints_is_told_with_the_limit() -> None:
    assert warned(max_duration=15.0) == []
    (warning,) = warned(max_duration=60.0)
    assert warning == "max_duration 60 s has no effect: a piece has at most 15.4 s of audio."


def numbers_of(found: SpeechRequest) -> tuple[int, int, bool]:
    return found.coarse_history, found.coarse_window, found.fine_padding


def test_fast_is_long_windows_and_no_padding_and_exact_is_the_default() -> None:
    assert numbers_of(request(speed="fast")) == (256, 384, False)
    assert numbers_of(request(speed="exact")) == numbers_of(request()) == (630, 60, True)
    assert warned(speed="fast") == []


def test_a_number_given_beside_fast_wins() -> None:
    assert numbers_of(request(speed="fast", fine_padding=True)) == (256, 384, True)
    assert numbers_of(request(speed="fast", coarse_window=100)) == (256, 100, False)


def test_fast_keeps_the_padding_that_a_plan_needs_and_says_so() -> None:
    assert numbers_of(request(ENGINE, speed="fast")) == (256, 384, True)
    (warning,) = warned(ENGINE, speed="fast")
    assert "still pads short sentences" in warning


def test_long_windows_fit_every_checkpoint() -> None:
    assert long_windows(SPEC) == {"coarse_window": 384, "coarse_history": 256}
    gpt = SPEC.coarse.gpt.model_copy(update={"block_size": 512})
    coarse = {"gpt": gpt, "semantic_context": 128, "max_history": 300}
    smaller = SPEC.model_copy(update={"coarse": SPEC.coarse.model_copy(update=coarse)})
    coarse = {"gpt": gpt, "semantic_context": 256, "max_history": 100, "window": 60}
    short_of_room = SPEC.model_copy(update={"coarse": SPEC.coarse.model_copy(update=coarse)})
    miniature = Bundle(MINIATURE).spec
    for spec in (SPEC, smaller, short_of_room, miniature):
        asked = parse({"text": "Hello.", **fast_options(spec)}, spec=spec, capabilities=OWN)
        assert asked.coarse_window > 2 * spec.coarse.window


@pytest.mark.parametrize("tag", ["de", "DE", "de-AT", "de_CH"])
def test_a_language_tag_becomes_one_of_the_checkpoints_languages(tag: str) -> None:
    assert request(language=tag).language == "de"


def test_whether_numbers_are_spelled_is_the_checkpoints_default() -> None:
    assert not request().spell_numbers and request(spell_numbers=True).spell_numbers
    miniature = Bundle(MINIATURE).spec
    assert parse({"text": "5"}, spec=miniature, capabilities=OWN).spell_numbers
    assert (request().markdown, request().fold_signs) == (True, True)
    with pytest.raises(InvalidRequest, match="it speaks en\\."):
        parse({"text": "5", "language": "de"}, spec=miniature, capabilities=OWN)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("seeed", "parameter seeed is unknown: did you mean seed"),
        ("temperature", "did you mean fine_temperature or coarse_temperature or semantic_temperature"),
        ("zzz", "parameter zzz is unknown: known are text, voice"),
        ("seed", "parameter seed is an input of the model: send it as a tensor"),
    ],
)
def test_a_parameter_that_nothing_reads_is_refused(name: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        check_parameters({"triton_enable_empty_final_response": True, name: 3})


@pytest.mark.parametrize(
    "name",
    ["triton_enable_empty_final_response", "sequence_id", "id", "priority", "timeout", "x-request-id"],
)
def test_tritons_own_parameters_and_headers_are_let_through(name: str) -> None:
    check_parameters({name: 1})
