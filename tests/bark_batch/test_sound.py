from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from bark_batch.sound import SUFFIXES, encode

RATE = 24_000


@pytest.mark.parametrize("format", SUFFIXES)
@pytest.mark.parametrize("count", [1, 480, 100_000])
def test_the_same_samples_give_the_same_file_of_the_same_length(format: str, count: int) -> None:  # noqa: A002
    samples = (0.5 * np.sin(np.arange(count) / 9)).astype(np.float32)
    first, second = (encode(samples, sample_rate=RATE, format=format) for _ in range(2))
    assert first == second
    found, rate = soundfile.read(io.BytesIO(first), dtype="float32")
    assert (rate, found.size) == (RATE, count)
    if count > 480:
        assert np.corrcoef(found, samples)[0, 1] > 0.98


def test_flac_keeps_every_bit() -> None:
    samples = np.random.default_rng(0).integers(-32767, 32768, 5000).astype(np.float32) / 32767
    found, _ = soundfile.read(io.BytesIO(encode(samples, sample_rate=RATE, format="flac")), dtype="int16")
    assert np.array_equal(found, (samples * 32767).round())


def test_samples_beyond_full_scale_are_clipped() -> None:
    loud, full = np.full(4800, 7.0, np.float32), np.ones(4800, np.float32)
    for format_ in SUFFIXES:
        assert encode(loud, sample_rate=RATE, format=format_) == encode(full, sample_rate=RATE, format=format_)
