"""The GPT runtime on ONNX Runtime: rows and batches change nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
import torch

from bark_serving.bundle import Bundle, mapped
from bark_serving.decoding.rules import allowed_ids, head_rows, rule_of
from bark_serving.engines.store import PRECISIONS, EngineStore
from bark_serving.networks import Gpt, load
from bark_serving.profiles import Precision
from bark_serving.runtimes.onnx_gpt import OnnxGpt
from build_engines.export.build import make
from tests.bundles import coarse_of_width, random_bundle

SPEC = coarse_of_width(256)
Open = Callable[..., OnnxGpt]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("gpt") / "bundle", SPEC, networks=["coarse"])


@pytest.fixture(scope="module")
def open_gpt(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Opens a coarse network that is wide enough for the longest blocks of quantized weights."""
    folder, gpt = tmp_path_factory.mktemp("engines"), SPEC.coarse.gpt

    def open_gpt(precision: Precision, *, rows: int = 4, threads: int = 1) -> OnnxGpt:
        engine = make(bundle, stage="coarse", precision=precision, store=EngineStore(folder))
        embeddings = mapped(bundle.weights("coarse"), "token_embedding.weight")
        return OnnxGpt(engine.folder, gpt=gpt, embeddings=embeddings, rows=rows, threads=threads)

    return open_gpt


LENGTHS = (60, 13, 257, 47)


def decode_rows(gpt: OnnxGpt, sequences: Sequence[int]) -> npt.NDArray[np.float32]:
    """Prefill sequences of `LENGTHS`, each alone, then decode one step of all together."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 12_000, (len(LENGTHS), max(LENGTHS) + 1))
    for row, sequence in enumerate(sequences):
        gpt.prefill(row, gpt.embed(ids[sequence, : LENGTHS[sequence]]))
    lengths = np.array([LENGTHS[sequence] for sequence in sequences], np.int32)
    return gpt.decode(gpt.embed(ids[sequences, lengths]), lengths).copy()


@pytest.mark.parametrize("precision", PRECISIONS["coarse"])
@pytest.mark.parametrize("sequences", [[0, 1], [1, 2, 0], [3, 1, 0, 2], [2, 3, 2, 3, 1, 0, 3]])
def test_sequences_of_different_lengths_decode_bit_for_bit_as_alone(
    open_gpt: Open, precision: Precision, sequences: list[int]
) -> None:
    """So a request's tokens do not depend on the requests beside it."""
    together = decode_rows(open_gpt(precision, rows=len(sequences)), sequences)
    for place, sequence in enumerate(sequences):
        assert np.array_equal(together[place], decode_rows(open_gpt(precision, rows=1), [sequence])[0])


@pytest.mark.parametrize("precision", PRECISIONS["coarse"])
def test_the_number_of_threads_does_not_change_logits(open_gpt: Open, precision: Precision) -> None:
    one, two = (decode_rows(open_gpt(precision, threads=threads), [0, 1, 2]) for threads in (1, 2))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("precision", PRECISIONS["coarse"])
def test_a_prompt_of_one_position_is_read_where_odd_rows_are_padded(
    open_gpt: Open, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = open_gpt(precision).prefill(0, np.ones((1, SPEC.coarse.gpt.width), np.float32)).copy()
    monkeypatch.setattr(OnnxGpt, "_odd_rows_differ", lambda _: True)
    found = open_gpt(precision).prefill(0, np.ones((1, SPEC.coarse.gpt.width), np.float32))
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("precision", PRECISIONS["coarse"])
def test_a_moved_row_goes_on_as_it_would_have(open_gpt: Open, precision: Precision) -> None:
    gpt = open_gpt(precision)
    rng = np.random.default_rng(1)
    for row, length in enumerate((30, 257, 12)):
        gpt.prefill(row, gpt.embed(rng.integers(0, 12_000, length)))
    lengths = np.array([30, 257, 12], np.int32)
    together = gpt.decode(gpt.embed(np.array([1, 2, 3])), lengths).copy()
    gpt.move(2, 0, 12)
    alone = gpt.decode(gpt.embed(np.array([3])), np.array([12], np.int32))
    np.testing.assert_array_equal(alone[0], together[2])


def test_logits_are_those_of_the_ids_that_the_rule_allows(open_gpt: Open, bundle: Bundle) -> None:
    gpt, rule, ids = open_gpt("fp32"), rule_of("coarse", SPEC), np.arange(20)
    logits = gpt.prefill(0, gpt.embed(ids))
    network = cast(Gpt, load("coarse", bundle))
    length = torch.tensor([len(ids)])
    cache = network.empty_cache(batch=1, capacity=len(ids))
    embeddings = torch.from_numpy(np.asarray(gpt.embed(ids)))[None]
    with torch.inference_mode():
        expected = network(embeddings, torch.arange(len(ids))[None], length - 1, length, *cache)[0][0].numpy()
    head = head_rows(rule)
    assert gpt.logits == len(logits) == head.stop - head.start
    np.testing.assert_allclose(logits, expected[head], atol=1e-3)
    for last in (0, rule.id_sets[0][0]):
        allowed = allowed_ids(rule, last)
        np.testing.assert_allclose(logits[allowed - head.start], expected[allowed], atol=1e-3)
