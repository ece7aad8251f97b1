"""The table of profiles, and which GPUs a server is given."""

from __future__ import annotations

import ctypes

import pytest

from bark_serving.host import gpus
from bark_serving.profiles import PROFILES, STAGES, TABLE, Precision, Profile, Stage, stage_precision, with_gpt


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_says_how_each_stage_runs(profile: Profile) -> None:
    row = TABLE[profile]
    assert set(row.stages) == set(STAGES)
    assert row.precision in row.precisions
    assert row.precisions[0] == row.precision, "the first one stands for those that a stage does not have"


@pytest.mark.parametrize(
    ("profile", "stage", "asked", "used"),
    [
        ("cpu", "coarse", "int8", "int8"),
        ("cpu", "hubert", "int8", "fp32"),
        ("torch", "fine", "bf16", "bf16"),
        ("torch", "encodec_decode", "bf16", "fp16"),
        ("torch", "encodec_decode", "fp32", "fp32"),
        ("torch", "encodec_encode", "fp16", "fp32"),
        ("tensorrt", "encodec_encode", "fp16", "fp32"),
        ("tensorrt", "semantic", "int4", "int4"),
        ("trtllm", "semantic", "int4", "fp16"),
    ],
)
def test_a_stage_runs_in_the_precision_asked_for_or_in_one_it_has(
    profile: Profile, stage: Stage, asked: Precision, used: Precision
) -> None:
    assert stage_precision(stage, asked, profile) == used


def test_tensorrt_llm_is_a_choice_of_the_tensorrt_profile() -> None:
    assert [with_gpt(name, None) for name in PROFILES] == list(PROFILES)
    assert with_gpt("tensorrt", "trtllm") == with_gpt("trtllm", "trtllm") == "trtllm"
    with pytest.raises(ValueError, match="trtllm runs the GPTs of the tensorrt profile only, not of rtx"):
        with_gpt("rtx", "trtllm")


@pytest.mark.parametrize(("text", "numbers"), [("auto", None), ("none", ()), ("0", (0,)), ("2,0", (2, 0))])
def test_gpus_are_named_by_number(text: str, numbers: tuple[int, ...] | None) -> None:
    assert gpus.parse_gpus(text) == numbers


@pytest.mark.parametrize("text", ["", "a", "0,0", "-1", "0,", "1.5"])
def test_other_lists_of_gpus_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not auto, none, or a list"):
        gpus.parse_gpus(text)


class Driver:
    """As much of libcuda as is asked."""

    def __init__(self, status: int, count: int) -> None:
        self._status, self._count = status, count

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._status

    def cuDeviceGetCount(self, pointer: object) -> int:  # noqa: N802
        pointer._obj.value = self._count  # type: ignore[attr-defined]
        return 0


@pytest.mark.parametrize(("status", "count"), [(0, 2), (100, 0)])
def test_the_driver_is_asked_for_its_gpus(monkeypatch: pytest.MonkeyPatch, status: int, count: int) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(status, 2))
    assert gpus.gpu_count() == count


def test_a_machine_without_a_driver_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "DRIVER", "libcuda-that-is-not-there.so")
    assert gpus.gpu_count() == 0
