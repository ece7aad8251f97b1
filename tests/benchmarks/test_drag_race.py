"""`drag-race`: one GPT in each runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from typer.testing import CliRunner

from bark_serving.bundle import Bundle
from benchmarks.cli import app
from benchmarks.peers import openvino
from reference import suno
from tests.benchmarks.commands import SCALE, common, run

BENCH = "the drag race against other packages needs the bench extra: pip install -e '.[bench]'"
TORCH_ONLY = ("--peer", "torch fp32")


def test_the_drag_race_measures_every_runtime(endless: Bundle, tmp_path: Path) -> None:
    for module in ("rwkv", "openvino"):
        pytest.importorskip(module, reason=BENCH)
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "1", "--variant", "cpu fp32"]
    result = run(tmp_path / "race.json", "drag-race", *options)
    assert result.subjects() == ["torch fp32", "rwkv 4 fp32", "OpenVINO int8", "cpu fp32"]


def test_the_drag_race_measures_our_runtimes_in_batches(endless: Bundle, tmp_path: Path) -> None:
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "1", "--variant", "torch fp32", *TORCH_ONLY]
    result = run(tmp_path / "race.json", "drag-race", *options, "--batch", "1", "--batch", "3")
    assert result.subjects() == ["torch fp32", "torch fp32, our runtime", "torch fp32, our runtime, batch 3"]
    assert [m.facts["tokens"] for m in result.measurements] == [20, 20, 60]


@pytest.mark.slow  # it exports the GPTs; the test above runs the same command
def test_the_drag_race_runs_without_other_packages(endless: Bundle, tmp_path: Path) -> None:
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "1", "--variant", "cpu fp32", *TORCH_ONLY]
    assert run(tmp_path / "race.json", "drag-race", *options).subjects() == ["torch fp32", "cpu fp32"]


def test_a_runtime_that_is_not_known_is_refused_with_a_list() -> None:
    answer = CliRunner().invoke(app, ["drag-race", "--peer", "abacus"])
    assert answer.exit_code == 2 and "rwkv 4 fp32" in answer.output


def test_openvino_computes_the_network_of_the_bundle(endless: Bundle) -> None:
    core = pytest.importorskip("openvino", reason=BENCH).Core()
    weights, spec = load_file(endless.weights("coarse")), endless.spec.coarse.gpt
    request = core.compile_model(openvino.graph(weights, spec), "CPU").create_infer_request()
    network = suno.gpt({name: torch.from_numpy(array) for name, array in weights.items()}, spec)
    ids, row = np.random.default_rng(0).integers(0, spec.output_vocab, 12), np.zeros(1, np.int32)
    for position, token in enumerate(ids):
        found = request.infer({"ids": np.array([[token]]), "positions": np.array([[position]]), "beam_idx": row})
        with torch.inference_mode():
            expected = network(torch.from_numpy(ids[None, : position + 1]))[0][0, -1].numpy()
        logits = next(iter(found.values()))[0, -1]
        likeness = logits @ expected / np.linalg.norm(logits) / np.linalg.norm(expected)
        assert likeness > 0.99
