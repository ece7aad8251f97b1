"""Sampling on a device gives what numpy samples from the same logits."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bark_serving.decoding import sampling
from bark_serving.decoding.sampling import Sampling
from bark_serving.runtimes.torch_sampling import sample

VOCAB, SIZE = 60, 25

hows = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.1, 0.7, 1.0, 2.5]),
    top_k=st.sampled_from([0, 1, 3, SIZE, 99]),
    top_p=st.sampled_from([0.0, 0.1, 0.5, 0.95, 1.0]),
)


def sample_rows(
    logits: np.ndarray, columns: np.ndarray, rows: list[Sampling], uniforms: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    sampled, last_probabilities = sample(
        torch.from_numpy(logits),
        torch.from_numpy(columns),
        temperature=torch.tensor([row.temperature for row in rows]),
        top_k=torch.tensor([row.top_k for row in rows]),
        top_p=torch.tensor([row.top_p for row in rows]),
        uniforms=torch.from_numpy(uniforms),
        filtered=any(row.top_k > 0 or 0 < row.top_p < 1 for row in rows),
    )
    return sampled.numpy(), last_probabilities.numpy()


@settings(deadline=None)
@given(seed=st.integers(0, 100_000), rows=st.lists(hows, min_size=1, max_size=6), tied=st.booleans())
def test_every_row_of_a_batch_samples_what_numpy_samples(seed: int, rows: list[Sampling], tied: bool) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=3, size=(len(rows), VOCAB)).astype(np.float32)
    if tied:  # as half precision makes them
        logits = logits.round()
    columns = np.stack([generator.permutation(VOCAB)[:SIZE] for _ in rows])
    uniforms = generator.random(len(rows))
    sampled, last_probabilities = sample_rows(logits, columns, rows, uniforms)
    for row, how in enumerate(rows):
        p = sampling.probabilities(logits[row, columns[row]], how)
        assert sampled[row] == columns[row, sampling.sample_index(p, uniforms[row])]
        np.testing.assert_allclose(last_probabilities[row], p[-1], atol=1e-6)


def test_thousands_of_samples_of_the_semantic_vocabulary_are_numpys() -> None:
    generator = np.random.default_rng(0)
    rows, size = 8, 10_001
    columns = np.tile(np.arange(size), (rows, 1))
    for how in (Sampling(temperature=0.7), Sampling(temperature=0.7, top_k=50, top_p=0.9)):
        for _ in range(60):
            logits = generator.normal(scale=2, size=(rows, size)).astype(np.float32)
            uniforms = generator.random(rows)
            sampled, _ = sample_rows(logits, columns, [how] * rows, uniforms)
            both = zip(logits, uniforms, strict=True)
            assert sampled.tolist() == [sampling.sample_index(sampling.probabilities(x, how), u) for x, u in both]


def test_a_token_of_probability_zero_is_never_sampled() -> None:
    logits = np.array([[0.0, 0.0, -np.inf, -np.inf]], np.float32)
    sampled, _ = sample_rows(logits, np.arange(4)[None], [Sampling()], np.array([1 - 2**-53]))
    assert sampled.tolist() == [1]
