"""The int8 KV cache: its scales, and what happens if int8 loses too much."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from bark_serving import networks
from bark_serving.bundle import Bundle, mapped
from bark_serving.engines.store import EngineStore
from bark_serving.networks import Gpt
from bark_serving.profiles import Precision
from bark_serving.runtimes.onnx_gpt import OnnxGpt
from bark_serving.runtimes.onnx_session import multiplies_int8_exactly
from bark_serving.spec import GptStage
from bark_serving.voices import files
from build_engines.export import kv_cache
from build_engines.export.build import STEPS, make
from build_engines.export.validate import cosine
from tests.bundles import random_bundle, small_spec


def open_gpt(bundle: Bundle, stage: GptStage, precision: Precision, store: EngineStore) -> OnnxGpt:
    engine = make(bundle, stage=stage, precision=precision, store=store)
    gpt = bundle.spec.gpt(stage)
    embeddings = mapped(bundle.weights(stage), "token_embedding.weight")
    return OnnxGpt(engine.folder, gpt=gpt, embeddings=embeddings, rows=2, threads=1)


@pytest.mark.parametrize("stage", ["semantic", "coarse"])
def test_every_channel_has_a_positive_scale(bundle: Bundle, stage: GptStage) -> None:
    network = cast(Gpt, networks.load(stage, bundle))
    scales = kv_cache.measure_scales(network, bundle, stage)
    spec = network.spec
    assert list(scales) == [f"{kind}_{layer}" for layer in range(spec.layers) for kind in ("key", "value")]
    for scale in scales.values():
        assert scale.shape == (spec.heads, spec.head_width) and scale.min() > 0
        assert scale.max() < 1, "random weights give values of a few units, not of hundreds"


def test_scales_are_measured_on_the_bundles_voices(tmp_path: Path) -> None:
    bundle = random_bundle(tmp_path / "bundle", small_spec(), networks=["coarse"])
    network = cast(Gpt, networks.load("coarse", bundle))
    before = kv_cache.measure_scales(network, bundle, "coarse")
    rng = np.random.default_rng(3)
    bundle.voices.mkdir(exist_ok=True)
    fine = rng.integers(0, 1024, (8, 300), np.int16)
    arrays = {"semantic_prompt": rng.integers(0, 10_000, 200), "coarse_prompt": fine[:2], "fine_prompt": fine}
    files.write(bundle.voices / "one.npz", arrays)
    after = kv_cache.measure_scales(network, bundle, "coarse")
    assert any(not np.array_equal(after[name], before[name]) for name in before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv_cache, "_random", lambda spec, seed: pytest.fail("voices are there"))
        kv_cache.measure_scales(network, bundle, "coarse")


def test_scales_are_measured_on_prompts_without_a_voice_too(bundle: Bundle) -> None:
    """Such a prompt has two hundred positions of padding, and there a trained network may have unusual values."""
    network = cast(Gpt, networks.load("semantic", bundle))
    with torch.no_grad():
        network.token_embedding.weight[bundle.spec.semantic.end_token] *= 30
    loud = kv_cache.measure_scales(network, bundle, "semantic")
    with torch.no_grad():
        network.token_embedding.weight[bundle.spec.semantic.end_token] /= 30
    plain = kv_cache.measure_scales(network, bundle, "semantic")
    assert any((loud[name] > plain[name]).any() for name in plain)


@pytest.mark.parametrize("stage", ["semantic", "coarse"])
def test_steps_after_a_prefill_stay_close_to_fp32(bundle: Bundle, stage: GptStage, store: EngineStore) -> None:
    """The graphs of prefill and decode step store the same values in the cache."""
    rng = np.random.default_rng(7)
    ids = rng.integers(0, 10_000, 200)
    rows = {precision: open_gpt(bundle, stage, precision, store) for precision in ("fp32", "int8")}
    for gpt in rows.values():
        gpt.prefill(0, gpt.embed(ids[:150]))
    for position in range(150, 200):
        new = ids[position : position + 1]
        logits = {p: gpt.decode(gpt.embed(new), np.array([position], np.int32)) for p, gpt in rows.items()}
        assert cosine(logits["int8"], logits["fp32"]) > 0.998


def test_a_cache_that_int8_cannot_hold_stays_in_fp32(
    bundle: Bundle,
    store: EngineStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    usual = make(bundle, stage="coarse", precision="int8", store=store)
    store = EngineStore(tmp_path / "engines")
    monkeypatch.setattr(kv_cache, "MARGIN", 0.05)
    monkeypatch.setattr("build_engines.export.graph.EXTERNAL_DATA_ABOVE_BYTES", 1_000)
    engine = make(bundle, stage="coarse", precision="int8", store=store)
    assert engine.size < 1.1 * usual.size, "no file of the first try is left in it"
    assert engine.manifest.inputs["past_key_0"].dtype == "float32"
    assert "coarse keeps its cache in fp32" in caplog.text
    assert sorted(path.name for path in engine.folder.glob("*.onnx")) == (
        ["model.onnx", "wide.onnx"] if multiplies_int8_exactly() else ["model.onnx"]
    )
    gpt = open_gpt(bundle, "coarse", "int8", store)
    ids = np.random.default_rng(1).integers(0, 10_000, 30)
    whole = gpt.prefill(0, gpt.embed(ids)).copy()
    gpt.prefill(1, gpt.embed(ids[:-1]))
    gpt.move(1, 0, 29)
    step = gpt.decode(gpt.embed(ids[-1:]), np.array([29], np.int32))[0]
    assert cosine(step[None], whole[None]) > 0.999


def test_every_step_of_a_build_is_reported_in_order(bundle: Bundle, tmp_path: Path) -> None:
    steps: list[tuple[str, float]] = []
    store = EngineStore(tmp_path / "engines")
    make(bundle, stage="coarse", precision="int8", store=store, on_step=lambda step, share: steps.append((step, share)))
    assert steps == [(step, i / len(STEPS)) for i, step in enumerate(STEPS)]
