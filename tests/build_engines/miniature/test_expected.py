"""The fine network learns the codes that it expects on average."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bark_serving.networks import Fine, build
from build_engines.miniature.clips import Clips
from build_engines.miniature.expected import expected_codes, expected_table
from build_engines.miniature.init_weights import init_weights
from build_engines.miniature.losses import fine_loss
from tests.build_engines.miniature.conftest import SPEC

COARSE, BOOKS, SIZE = SPEC.coarse.codebooks, SPEC.encodec.codebooks, SPEC.encodec.codebook_size


@pytest.fixture(scope="module")
def fine() -> Fine:
    torch.manual_seed(0)
    network = build("fine", SPEC)
    assert isinstance(network, Fine)
    init_weights(network)
    return network


@pytest.fixture(scope="module")
def codebooks() -> torch.Tensor:
    return torch.randn(BOOKS, SIZE, 4, generator=torch.Generator().manual_seed(1))


class Ignorant:
    """A fine network to which all codes are equally likely. It keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[torch.Tensor] = []

    def logits(self, codes: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        self.given.append(codes)
        return torch.zeros(codes.shape[0], codes.shape[2], SPEC.fine.gpt.output_vocab)


def test_a_network_that_knows_nothing_expects_the_code_nearest_to_the_mean_of_all(
    codebooks: torch.Tensor, clips: Clips
) -> None:
    coarse = clips.codes(clips[2])[:COARSE]
    assert coarse.shape[1] > SPEC.fine.window  # several windows
    codes = expected_codes(Ignorant(), codebooks, coarse, spec=SPEC)  # type: ignore[arg-type]
    np.testing.assert_array_equal(codes[:COARSE], coarse)
    for book in range(COARSE, BOOKS):
        middle = (codebooks[book] - codebooks[book].mean(0)).norm(dim=1).argmin()
        assert (codes[book] == int(middle)).all()


@torch.inference_mode()
def test_the_expected_codes_of_a_short_clip_follow_from_one_window(
    fine: Fine, codebooks: torch.Tensor, clips: Clips
) -> None:
    coarse = clips.codes(clips[0])[:COARSE]
    frames = coarse.shape[1]
    rows = np.full((BOOKS, SPEC.fine.window), SPEC.fine.pad_token, np.int64)
    rows[:COARSE, :frames] = coarse
    scores = fine.logits(torch.from_numpy(rows)[None], torch.full((1, 1), COARSE))[0, :frames, :SIZE].double()
    mean = scores.softmax(-1) @ codebooks[COARSE].double()
    distances = torch.cdist(mean, codebooks[COARSE].double())
    chosen = expected_codes(fine, codebooks, coarse, spec=SPEC)[COARSE]
    best = distances.min(1).values
    np.testing.assert_allclose(distances[torch.arange(frames), torch.from_numpy(chosen).long()], best, rtol=1e-4)


def test_the_table_holds_the_clips_end_to_end(fine: Fine, codebooks: torch.Tensor, clips: Clips) -> None:
    done: list[int] = []
    table = expected_table(fine, codebooks, clips, spec=SPEC, on_clip=done.append)
    assert done == [1] * len(clips) and table.shape == clips.code_table.shape
    last = clips[len(clips) - 1]
    own = expected_codes(fine, codebooks, clips.codes(last)[:COARSE], spec=SPEC)
    np.testing.assert_array_equal(clips.recordings.rows(table, last).T, own)


def test_after_a_history_of_its_own_codes_the_fine_network_learns_the_codes_of_a_table(
    clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, network = (clips.code_table + 1) % SIZE, Ignorant()
    monkeypatch.setattr("build_engines.miniature.losses.FINE_HISTORY_SHARE", 1.0)
    fine_loss(network, clips, spec=SPEC, batch=4, table=table)(np.random.default_rng(0))  # type: ignore[arg-type]
    own = {tuple(row) for row in clips.code_table[:, :COARSE].tolist()}
    learnt = {tuple(row) for row in table[:, :COARSE].tolist()}
    for codes in network.given[0]:
        rows = [tuple(row) for row in codes[:COARSE].T.tolist() if row[0] != SPEC.fine.pad_token]
        past = sum(row in own for row in rows)
        assert 0 < past < len(rows)
        assert all(row in own for row in rows[:past]) and all(row in learnt for row in rows[past:])
