"""How the orchestrator speaks to stages whose engine has rules of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bark_serving.arrays import BFLOAT16
from bark_serving.errors import InvalidRequest
from bark_serving.profiles import TABLE
from bark_serving.spec import Spec
from bark_serving.speech.request import SpeechRequest, parse
from bark_serving.speech.stage_capabilities import OWN_INPUTS, BuiltIn, StageInterface, interface_of

SPEC = Spec(name="released")
ENGINE = StageInterface(
    own_inputs=False, table="FP16", built_in=BuiltIn(temperature=0.6, min_eos_p=0.3), whole_windows=True
)


def request(interface: StageInterface, **inputs: object) -> SpeechRequest:
    return parse({"text": "Hello.", **inputs}, spec=interface.defaults(SPEC))


def test_a_request_that_says_nothing_gets_what_the_engine_has() -> None:
    plain = request(ENGINE)
    assert (plain.semantic_temperature, plain.min_eos_p) == (0.6, 0.3)
    ENGINE.check(plain)
    assert list(ENGINE.warnings(plain)) == []
    assert request(StageInterface()).min_eos_p == SPEC.sampling.min_eos_p


def test_another_min_eos_p_than_the_engines_is_refused_with_both_numbers() -> None:
    with pytest.raises(InvalidRequest, match=r"min_eos_p 0\.2 differs from the 0\.3 .* leave it out"):
        ENGINE.check(request(ENGINE, min_eos_p=0.2))
    ENGINE.check(request(ENGINE, min_eos_p=float(np.float32(0.3))))  # as a client sends it
    StageInterface().check(request(StageInterface(), min_eos_p=0.7))


def test_a_plan_of_whole_windows_refuses_shorter_ones() -> None:
    with pytest.raises(InvalidRequest, match=r"fine_padding cannot be turned off here.* Leave it out"):
        ENGINE.check(request(ENGINE, fine_padding=False))
    ENGINE.check(request(ENGINE, fine_padding=True))
    StageInterface().check(request(StageInterface(), fine_padding=False))


@pytest.mark.parametrize("inputs", [{"semantic_temperature": 0.0}, {"semantic_temperature": 0.9}, {"top_k": 50}])
def test_what_only_shifts_the_end_of_speech_is_served_with_a_warning(inputs: dict[str, float]) -> None:
    asked = request(ENGINE, **inputs)
    ENGINE.check(asked)
    (warning,) = ENGINE.warnings(asked)
    assert "earlier or later" in warning and "0.6" in warning
    assert not StageInterface().warnings(request(StageInterface(), **inputs))


def test_another_order_of_top_p_is_warned_of_too() -> None:
    warnings = ENGINE.warnings(request(ENGINE, top_p=0.9))
    assert len(warnings) == 2 and "after the temperature" in warnings[1]


def test_only_our_own_stages_get_our_own_inputs() -> None:
    inputs = {name: np.zeros(1) for name in ("end_id", *OWN_INPUTS)}
    assert set(ENGINE.accepted(inputs)) == {"end_id"}
    assert set(StageInterface().accepted(inputs)) == set(inputs)


@given(table=arrays.arrays(np.float32, (3, 4), elements=st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=True)))
def test_bfloat16_tables_are_rounded_as_torch_rounds(table: np.ndarray) -> None:
    encoded = StageInterface(table="BF16").encode_table(table)
    assert encoded.dtype == BFLOAT16
    expected = torch.from_numpy(table).bfloat16().view(torch.int16).numpy()
    assert np.array_equal(encoded.view(np.int16), expected)


def test_tables_keep_their_shape_and_become_the_declared_type() -> None:
    table = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
    assert StageInterface().encode_table(table) is table
    half = ENGINE.encode_table(table)
    assert half.dtype == np.float16 and np.abs(half.astype(np.float32) - table).max() < 2e-3


@pytest.mark.parametrize("profile", ["cpu", "torch"])
def test_profiles_that_run_the_stages_here_take_every_number_with_the_request(profile: str) -> None:
    stages = TABLE[profile].stages  # type: ignore[index]
    assert interface_of(stages, precision="fp32", constants={}) == StageInterface()


def test_an_interface_survives_the_config_of_bark() -> None:
    assert StageInterface.model_validate_json(ENGINE.model_dump_json()) == ENGINE
    stages = TABLE["tensorrt"].stages
    made = interface_of(stages, precision="bf16", constants={"temperature": 0.6, "min_eos_p": 0.3})
    assert made == ENGINE.model_copy(update={"table": "BF16"})
