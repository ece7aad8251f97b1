"""The estimates of docs/gpu.md are those of the code, and follow from the bytes that a step reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from bark_serving.spec import Spec
from benchmarks.gpu_roofline import seconds, step_bytes, table, tokens

LARGE = Spec(name="large")


def test_the_documented_table_is_the_computed_one() -> None:
    assert table(LARGE) in (Path(__file__).parents[2] / "docs/gpu.md").read_text()


def test_a_step_reads_the_weights_and_the_whole_cache() -> None:
    layers, width, head = 24, 1024, 10_001
    weights = layers * (12 * width**2 + 2 * width) + width
    cache = 2 * layers * width * 1024 * 2
    assert step_bytes("semantic", LARGE, precision="fp16") == 2 * (weights + head * width) + cache
    assert step_bytes("semantic", LARGE, precision="int4") == (0.5 + 2 / 128) * weights + 2 * head * width + cache


def test_ten_seconds_of_speech_have_these_tokens() -> None:
    assert (tokens("semantic", LARGE), tokens("coarse", LARGE)) == (499, 1500)
    assert seconds("semantic", LARGE, precision="fp16", gigabytes_per_s=1_000) == pytest.approx(
        499 * step_bytes("semantic", LARGE, precision="fp16") / 1e12
    )
