"""What stages can do, by profile, and the prompt table in the type that they take."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bark_serving.arrays import BFLOAT16
from bark_serving.profiles import TABLE, Profile
from bark_serving.speech.stage_capabilities import BuiltIn, StageCapabilities, capabilities_of

ENGINE = StageCapabilities(
    own_inputs=False,
    table_type="FP16",
    built_in=BuiltIn(temperature=0.6, min_eos_p=0.3),
    whole_windows=True,
    decoder_state=False,
)


@given(table=arrays.arrays(np.float32, (3, 4), elements=st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=True)))
def test_bfloat16_tables_are_rounded_as_torch_rounds(table: np.ndarray) -> None:
    encoded = StageCapabilities(table_type="BF16").encode_table(table)
    assert encoded.dtype == BFLOAT16
    expected = torch.from_numpy(table).bfloat16().view(torch.int16).numpy()
    assert np.array_equal(encoded.view(np.int16), expected)


def test_tables_keep_their_shape_and_become_the_declared_type() -> None:
    table = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
    assert StageCapabilities().encode_table(table) is table
    half = ENGINE.encode_table(table)
    assert half.dtype == np.float16 and np.abs(half.astype(np.float32) - table).max() < 2e-3


@pytest.mark.parametrize(("profile", "one_by_one"), [("cpu", True), ("torch", False)])
def test_stages_of_our_own_take_every_number_with_the_request(profile: Profile, *, one_by_one: bool) -> None:
    made = capabilities_of(TABLE[profile].stages, precision="fp32", constants={})
    assert made == StageCapabilities(one_by_one=one_by_one)


def test_capabilities_survive_the_config_of_bark() -> None:
    assert StageCapabilities.model_validate_json(ENGINE.model_dump_json()) == ENGINE
    stages = TABLE["trtllm"].stages
    made = capabilities_of(stages, precision="bf16", constants={"temperature": 0.6, "min_eos_p": 0.3})
    assert made == ENGINE.model_copy(update={"table_type": "BF16"})
