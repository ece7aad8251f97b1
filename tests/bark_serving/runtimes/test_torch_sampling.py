"""Drawing on a device draws what numpy draws from the same logits."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bark_serving.decoding import sampling
from bark_serving.decoding.sampling import Sampling
from bark_serving.runtimes.torch_sampling import draw

VOCAB, SIZE = 60, 25

hows = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.1, 0.7, 1.0, 2.5]),
    top_k=st.sampled_from([0, 1, 3, SIZE, 99]),
    top_p=st.sampled_from([0.0, 0.1, 0.5, 0.95, 1.0]),
)


def draw_rows(
    logits: np.ndarray, ids: np.ndarray, rows: list[Sampling], uniforms: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    tokens, last_chances = draw(
        torch.from_numpy(logits),
        torch.from_numpy(ids),
        temperature=torch.tensor([row.temperature for row in rows]),
        top_k=torch.tensor([row.top_k for row in rows]),
        top_p=torch.tensor([row.top_p for row in rows]),
        uniforms=torch.from_numpy(uniforms),
        filtered=any(row.top_k > 0 or 0 < row.top_p < 1 for row in rows),
    )
    return tokens.numpy(), last_chances.numpy()


@settings(deadline=None)
@given(seed=st.integers(0, 100_000), rows=st.lists(hows, min_size=1, max_size=6), tied=st.booleans())
def test_every_row_of_a_batch_draws_what_numpy_draws(seed: int, rows: list[Sampling], tied: bool) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=3, size=(len(rows), VOCAB)).astype(np.float32)
    if tied:  # as half precision makes them
        logits = logits.round()
    ids = np.stack([generator.permutation(VOCAB)[:SIZE] for _ in rows])
    uniforms = generator.random(len(rows))
    tokens, last_chances = draw_rows(logits, ids, rows, uniforms)
    for row, how in enumerate(rows):
        chances = sampling.probabilities(logits[row, ids[row]], how)
        assert tokens[row] == ids[row, sampling.draw(chances, uniforms[row])]
        np.testing.assert_allclose(last_chances[row], chances[-1], atol=1e-6)


def test_thousands_of_draws_at_the_semantic_vocabulary_are_numpys() -> None:
    generator = np.random.default_rng(0)
    rows, size = 8, 10_001
    ids = np.tile(np.arange(size), (rows, 1))
    for how in (Sampling(temperature=0.7), Sampling(temperature=0.7, top_k=50, top_p=0.9)):
        for _ in range(60):
            logits = generator.normal(scale=2, size=(rows, size)).astype(np.float32)
            uniforms = generator.random(rows)
            tokens, _ = draw_rows(logits, ids, [how] * rows, uniforms)
            expected = [sampling.draw(sampling.probabilities(x, how), u) for x, u in zip(logits, uniforms, strict=True)]
            assert tokens.tolist() == expected


def test_a_token_without_mass_is_never_drawn() -> None:
    logits = np.array([[0.0, 0.0, -np.inf, -np.inf]], np.float32)
    tokens, _ = draw_rows(logits, np.arange(4)[None], [Sampling()], np.array([1 - 2**-53]))
    assert tokens.tolist() == [1]
