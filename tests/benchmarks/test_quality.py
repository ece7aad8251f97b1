"""`quality`: how far lower precisions and approximations are from fp32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bark_serving.bundle import MINIATURE, Bundle
from benchmarks import results
from benchmarks.quality import measure as quality
from benchmarks.quality import mel
from tests.benchmarks.commands import SCALE, common, run


def test_quality_finds_fp32_equal_to_itself_and_int8_nearly(endless: Bundle, tmp_path: Path) -> None:
    options = [*common(endless), "--tokens-scale", SCALE, "--variant", "cpu int8"]
    result = run(tmp_path / "quality.json", "quality", *options, "--variant", "cpu fp32, long windows")

    def value(case: str, subject: str, metric: str) -> float:
        found = result.find(case=case, subject=subject, metric=metric)
        assert found is not None
        return found.median

    for stage in ("semantic", "coarse", "fine"):
        assert value(stage, "cpu fp32, long windows", "agreement") == 1, "30 coarse tokens are one window either way"
        assert value(stage, "cpu fp32, long windows", "drift") < 1e-4
        assert 1e-5 < value(stage, "cpu int8", "drift") < 0.5
        assert value(stage, "cpu int8", "agreement") > 0.5
    assert value("coarse", "cpu fp32, long windows", "other context") == 0
    assert any("'cpu fp32, long windows'" in note and "another --tokens-scale" in note for note in result.notes)
    assert value("audio", "cpu fp32, long windows", "mel distance") < 1e-3
    assert value("audio", "fp32, another seed", "mel distance") > 0.1


@pytest.mark.slow
def test_quality_lets_a_trained_checkpoint_end_its_speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    miniature = Bundle(MINIATURE)
    monkeypatch.setattr("benchmarks.work.TEXT", "She has never been to this town.")
    options = [*common(miniature), "--tokens-scale", "0.9", "--variant", "cpu fp32, long windows"]
    result = run(tmp_path / "quality.json", "quality", *options, "--variant", "cpu int8, no padding")

    def value(subject: str, metric: str) -> float:
        found = result.find(case="fine", subject=subject, metric=metric)
        assert found is not None
        return found.median

    assert value("cpu int8, no padding", "other context") == 1, "a short sentence in a window of its own length"
    assert 0.01 < value("cpu int8, no padding", "drift") < 1 and value("cpu fp32, long windows", "drift") < 1e-4
    other = result.find(case="coarse", subject="cpu fp32, long windows", metric="other context")
    drift = result.find(case="coarse", subject="cpu fp32, long windows", metric="drift")
    assert other is not None and 0.1 < other.median < 1 and not any("--tokens-scale" in note for note in result.notes)
    assert drift is not None and drift.median > 1e-3


def test_utterances_without_speech_have_no_mel_distance() -> None:
    def measurement(subject: str, case: str, count: int) -> results.Measurement:
        return results.Measurement(case=case, subject=subject, metric="mel distance", unit="dB", samples=(1.0,) * count)

    measured = [
        measurement("cpu int8", "semantic", 3),
        measurement("cpu int8", "audio", 3),
        measurement("cpu int4", "audio", 2),
    ]
    [note] = quality.caveats(measured)
    assert "'cpu int4'" in note and "'cpu int8'" not in note
    assert quality.caveats(measured[:2]) == []
    with pytest.raises(ValueError, match="without samples"):
        mel.distance(np.zeros(0, np.float32), np.zeros(24_000, np.float32), rate=24_000)
