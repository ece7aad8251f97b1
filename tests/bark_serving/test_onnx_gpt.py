"""The GPT runtime on ONNX Runtime: rows and batches change nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bark_serving.decoding.onnx_gpt import OnnxGpt
from bark_serving.decoding.rules import drawable, rule_of
from bark_serving.engines import PRECISIONS, EngineStore, Precision
from bark_serving.spec import Bundle
from bark_serving.weights import mapped
from build_engines.export.build import make
from tests.bundles import random_bundle, small_spec


@pytest.fixture(scope="module")
def open_gpt(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Precision], OnnxGpt]:
    folder = tmp_path_factory.mktemp("gpt")
    bundle: Bundle = random_bundle(folder / "bundle", small_spec(), networks=["coarse"])

    def open_gpt(precision: Precision) -> OnnxGpt:
        engine = make(bundle, stage="coarse", precision=precision, store=EngineStore(folder / "engines"))
        embeddings = mapped(bundle.weights("coarse"), "token_embedding.weight")
        rule, gpt = rule_of("coarse", bundle.spec), bundle.spec.coarse.gpt
        return OnnxGpt(engine.folder, gpt=gpt, rule=rule, embeddings=embeddings, rows=4, threads=1)

    return open_gpt


@pytest.mark.parametrize("precision", PRECISIONS["coarse"])
def test_a_moved_row_goes_on_as_it_would_have(open_gpt: Callable[[Precision], OnnxGpt], precision: Precision) -> None:
    gpt = open_gpt(precision)
    rng = np.random.default_rng(1)
    for row, length in enumerate((30, 257, 12)):
        gpt.prefill(row, gpt.embed(rng.integers(0, 12_000, length)))
    lengths = np.array([30, 257, 12], np.int32)
    together = gpt.decode(gpt.embed(np.array([1, 2, 3])), lengths).copy()
    gpt.move(2, 0, 12)
    alone = gpt.decode(gpt.embed(np.array([3])), np.array([12], np.int32))
    np.testing.assert_array_equal(alone[0], together[2])


def test_ids_that_cannot_be_drawn_have_no_chance(open_gpt: Callable[[Precision], OnnxGpt]) -> None:
    """The graph's head has no rows for them."""
    gpt, rule = open_gpt("fp32"), rule_of("coarse", small_spec())
    logits = gpt.prefill(0, gpt.embed(np.arange(20)))
    ids = np.concatenate([drawable(rule, last) for last in (0, rule.sets[0][0])])
    assert len(logits) == small_spec().coarse.gpt.output_vocab
    assert set(np.flatnonzero(np.isfinite(logits))) == set(ids)
