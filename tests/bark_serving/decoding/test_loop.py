"""In-flight batching on a small network in numpy, whose next token depends on all tokens before it."""

from __future__ import annotations

import threading
from concurrent.futures import wait

import numpy as np
import pytest
from scipy import stats

from bark_serving.decoding.loop import DecodeLoop
from bark_serving.decoding.rules import CoarseRule, Rule, SemanticRule, allowed_ids, rule_of
from bark_serving.decoding.sampler import NumpySampler
from bark_serving.decoding.sampling import Sampling
from bark_serving.decoding.sequence import Generation
from bark_serving.errors import StageFailed
from bark_serving.spec import Spec

VOCAB = 12
COARSE = CoarseRule(offset=0, codebooks=1, codebook_size=VOCAB)  # no end token


class SumNetwork:
    """A `Runtime` whose logits are a fixed random function of the sum of everything in a row's cache."""

    def __init__(self, rows: int, capacity: int = 128) -> None:
        self.rows, self.capacity = rows, capacity
        self.cache = np.zeros((rows, capacity))  # by position, so that a step may be repeated
        self.batches: list[int] = []
        self.gate: threading.Event | None = None
        self.table = np.random.default_rng(0).normal(size=(97, VOCAB)).astype(np.float32)

    def embed(self, ids: np.ndarray) -> np.ndarray:
        return (ids + 1).astype(np.float32)[:, None]

    def prefill(self, row: int, embeddings: np.ndarray) -> np.ndarray:
        if (embeddings < 0).any():
            raise RuntimeError("poisoned prompt")
        self.cache[row, : len(embeddings)] = embeddings[:, 0]
        return self._logits(row, len(embeddings))

    def decode(self, embeddings: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        if self.gate:
            assert self.gate.wait(10)
        self.batches.append(len(lengths))
        self.cache[np.arange(len(lengths)), lengths] = embeddings[:, 0]
        return np.stack([self._logits(row, length + 1) for row, length in enumerate(lengths)])

    def move(self, source: int, target: int, length: int) -> None:
        self.cache[target, :length] = self.cache[source, :length]

    def _logits(self, row: int, length: int) -> np.ndarray:
        return self.table[int(self.cache[row, :length].sum()) % 97]


def rule() -> SemanticRule:
    return SemanticRule(ids=np.arange(VOCAB), end_token=VOCAB - 1)


def loop_of(network: SumNetwork, rule: Rule = COARSE) -> DecodeLoop:
    return DecodeLoop(NumpySampler(network, rule))


def generation(seed: int, *, count: int = 20, request_id: str = "", **sampling: float) -> Generation:
    prompt = np.arange(1, 4 + seed % 5, dtype=np.float32)[:, None]
    return Generation(
        prompt=prompt,
        ids=np.zeros(1, np.int32),
        max_tokens=count,
        sampling=Sampling(seed=seed, **sampling),
        request_id=request_id,
    )


@pytest.fixture
def network() -> SumNetwork:
    return SumNetwork(rows=4)


def test_a_request_gets_the_same_tokens_alone_and_among_others(network: SumNetwork) -> None:
    alone = []
    for seed in range(30):
        loop = loop_of(SumNetwork(rows=1), rule())
        alone.append(loop.submit(generation(seed, count=5 + seed)).result(10).tolist())
        loop.close()
    loop = loop_of(network, rule())
    network.gate = threading.Event()
    answers = [loop.submit(generation(seed, count=5 + seed)) for seed in range(30)]
    network.gate.set()
    together = [answer.result(10).tolist() for answer in answers]
    loop.close()
    assert together == alone
    assert max(network.batches) == 4, "nothing ran together"
    assert len({tuple(tokens) for tokens in together}) > 20


def test_the_end_token_ends_a_sequence_and_is_dropped(network: SumNetwork) -> None:
    loop = loop_of(network, rule())
    lengths = [len(loop.submit(generation(seed, count=50)).result(10)) for seed in range(40)]
    loop.close()
    assert min(lengths) < 40 and max(lengths) <= 50


def test_a_likely_end_token_ends_a_sequence_without_being_sampled() -> None:
    semantic = rule()
    assert semantic.ends(3, 0.3, min_eos_p=0.2)
    assert not semantic.ends(3, 0.3, min_eos_p=0.31)
    assert semantic.ends(VOCAB - 1, 0.3, min_eos_p=1.1)


def test_first_tokens_over_many_seeds_have_the_networks_distribution() -> None:
    network = SumNetwork(rows=8)
    loop = loop_of(network)
    prompt = np.array([[1.0], [2.0]], np.float32)
    answers = [
        loop.submit(
            Generation(
                prompt=prompt, ids=np.zeros(1, np.int32), max_tokens=1, sampling=Sampling(temperature=0.8, seed=s)
            )
        )
        for s in range(6000)
    ]
    counts = np.bincount([int(answer.result(30)[0]) for answer in answers], minlength=VOCAB)
    loop.close()
    logits = network.table[3].astype(float) / 0.8
    expected = np.exp(logits - logits.max())
    assert stats.chisquare(counts, 6000 * expected / expected.sum()).pvalue > 1e-3


def test_a_stopped_sequence_gives_what_it_has_and_frees_its_row(network: SumNetwork) -> None:
    loop = loop_of(network)
    network.gate = threading.Event()
    long = [loop.submit(generation(i, count=60, request_id=f"r{i}")) for i in range(4)]
    waiting = loop.submit(generation(9, count=2))
    loop.stop("r1")
    network.gate.set()
    assert len(waiting.result(10)) == 2
    assert len(long[1].result(10)) < 60
    assert all(len(long[i].result(10)) == 60 for i in (0, 2, 3))
    loop.close()


def test_a_failing_prefill_fails_its_own_request_only(network: SumNetwork) -> None:
    loop = loop_of(network)
    good = loop.submit(generation(1))
    bad = loop.submit(Generation(np.array([[-1.0]], np.float32), np.zeros(1, np.int32), 5, Sampling()))
    after = loop.submit(generation(2))
    with pytest.raises(StageFailed, match="poisoned"):
        bad.result(10)
    assert len(good.result(10)) == len(after.result(10)) == 20
    loop.close()


def test_a_sequence_ends_where_the_cache_ends() -> None:
    loop = loop_of(SumNetwork(rows=1, capacity=10))
    tokens = loop.submit(Generation(np.ones((4, 1), np.float32), np.zeros(4, np.int32), 99, Sampling())).result(10)
    loop.close()
    assert len(tokens) == 7  # positions 4..9 hold six of them, the last is never fed


def test_closing_fails_what_is_under_way(network: SumNetwork) -> None:
    loop = loop_of(network)
    network.gate = threading.Event()
    answers = [loop.submit(generation(i, count=60)) for i in range(6)]
    threading.Timer(0.05, network.gate.set).start()
    loop.close()
    done, _ = wait(answers, 10)
    assert len(done) == 6
    assert any(isinstance(answer.exception(), StageFailed) for answer in answers)


def test_coarse_codebooks_take_turns_and_other_ids_start_with_the_first() -> None:
    coarse = rule_of("coarse", Spec(name="released"))
    for last, first in (
        (12_050, 10_000),
        (9_999, 10_000),
        (10_000, 11_024),
        (11_023, 11_024),
        (11_024, 10_000),
        (12_047, 10_000),
        (12_048, 10_000),
    ):
        ids = allowed_ids(coarse, last)
        assert (ids[0], ids[-1]) == (first, first + 1023)


def test_the_semantic_stage_allows_semantic_tokens_and_the_end_token() -> None:
    ids = allowed_ids(rule_of("semantic", Spec(name="released")), 0)
    assert len(ids) == 10_001 and ids[-1] == 10_000


def window(request_id: str, ids: list[int], *, count: int, seed: int, hold: bool) -> Generation:
    array = np.array(ids, np.int32)
    prompt = (array + 1).astype(np.float32)[:, None]  # what SumNetwork.embed gives
    return Generation(
        prompt=prompt, ids=array, max_tokens=count, sampling=Sampling(seed=seed), request_id=request_id, hold=hold
    )


class CountingNetwork(SumNetwork):
    """Counts its prefills."""

    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self.prefills = 0

    def prefill(self, row: int, embeddings: np.ndarray) -> np.ndarray:
        self.prefills += 1
        return super().prefill(row, embeddings)


def say(loop: DecodeLoop, request_id: str, *, hold: bool, windows: int = 5, slide: int | None = None) -> list[int]:
    """Windows that each see all before them; at window ``slide`` the first id is forgotten."""
    ids = [3, 1, 4]
    for number in range(windows):
        if number == slide:
            ids = ids[1:]
        wanted = window(request_id, ids, count=4, seed=number, hold=hold and number < windows - 1)
        ids = ids + loop.submit(wanted).result(10).tolist()
    return ids


def test_a_continuation_has_the_same_tokens_without_a_prefill() -> None:
    network = CountingNetwork(rows=2)
    loop = loop_of(network)
    plain, before = say(loop, "plain", hold=False), network.prefills
    held = say(loop, "held", hold=True)
    loop.close()
    assert held == plain
    assert (before, network.prefills - before) == (5, 1)


def test_a_window_that_slides_is_prefilled_again_in_the_held_row() -> None:
    network = CountingNetwork(rows=1)
    loop = loop_of(network)
    plain = say(loop, "plain", hold=False, slide=3)
    network.prefills = 0
    assert say(loop, "held", hold=True, slide=3) == plain
    assert network.prefills == 2
    loop.close()


def test_held_rows_change_no_tokens_of_others_and_are_not_taken() -> None:
    network = CountingNetwork(rows=3)
    loop = loop_of(network)
    alone = say(loop, "alone", hold=True)
    others = [loop.submit(generation(seed, count=50)) for seed in range(6)]
    network.prefills = 0
    assert say(loop, "again", hold=True) == alone
    spoken = [other.result(10).tolist() for other in others]
    loop.close()
    single = loop_of(SumNetwork(rows=1))
    assert spoken == [single.submit(generation(seed, count=50)).result(10).tolist() for seed in range(6)]
    single.close()


def test_a_held_row_is_freed_by_a_stop() -> None:
    loop = loop_of(SumNetwork(rows=1))
    loop.submit(window("gone", [1, 2], count=3, seed=0, hold=True)).result(10)
    after = loop.submit(generation(1, count=3))
    with pytest.raises(TimeoutError):
        after.result(0.1)
    loop.stop("gone")
    assert len(after.result(10)) == 3
    loop.close()


def test_a_held_row_is_freed_after_a_while_without_any_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bark_serving.decoding.loop.HOLD_S", 0.1)
    loop = loop_of(SumNetwork(rows=1))
    loop.submit(window("gone", [1, 2], count=3, seed=0, hold=True)).result(10)
    assert len(loop.submit(generation(2, count=3)).result(10)) == 3
    loop.close()
