"""The arithmetic behind every figure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import statistics
from benchmarks.turns import Subject, in_turns

SAMPLES = st.lists(st.floats(0.01, 1e4), min_size=2, max_size=8)


def test_quartiles_enclose_the_middle_half() -> None:
    found = statistics.quartiles([5, 1, 2, 4, 3])
    assert (found.low, found.median, found.high) == (2, 3, 4)


def test_quartiles_need_samples() -> None:
    with pytest.raises(ValueError, match="no samples"):
        statistics.quartiles([])


@given(SAMPLES, SAMPLES)
def test_the_band_lies_within_the_ratios_of_single_samples(base: list[float], new: list[float]) -> None:
    found = statistics.ratio(base, new)
    assert found.known
    assert found.low <= found.high
    assert min(new) / max(base) - 1e-9 <= found.low and found.high <= max(new) / min(base) + 1e-9


def test_twice_as_slow_is_a_difference_and_scatter_is_noise() -> None:
    slower = statistics.ratio([1.0, 1.01, 0.99, 1.0], [2.0, 2.02, 1.99, 2.01])
    assert slower.value == pytest.approx(2, rel=0.01) and not slower.is_noise
    assert statistics.ratio([1.0, 1.2, 0.8, 1.1], [1.1, 0.9, 1.2, 0.85]).is_noise


def test_one_sample_says_nothing_about_noise() -> None:
    found = statistics.ratio([1.0], [3.0])
    assert (found.value, found.low, found.high) == (3, 3, 3)
    assert not found.known and not found.is_noise


def test_the_band_of_few_samples_is_the_range_of_their_ratios() -> None:
    found = statistics.ratio([1.0, 1.0, 2.0], [2.0, 2.0, 3.0])
    assert (found.low, found.high) == (1.0, 3.0) and found.is_noise
    many = statistics.ratio([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0], [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0])
    assert (many.low, many.high) == (2.0, 2.0), "one outlier among seven is seldom the median"


def test_the_same_samples_always_give_the_same_band() -> None:
    assert statistics.ratio([1, 2, 3], [2, 3, 5]) == statistics.ratio([1, 2, 3], [2, 3, 5])


def test_zero_over_zero_is_no_change() -> None:
    assert statistics.ratio([0.0, 0.0], [0.0, 0.0]).value == 1
    assert statistics.ratio([0.0, 0.0], [1.0, 1.0]).value == float("inf")


def test_a_line_is_fitted_with_its_r_squared() -> None:
    straight = statistics.line([1, 2, 3], [3, 5, 7])
    assert (straight.slope, straight.intercept) == pytest.approx((2, 1)) and straight.r_squared == pytest.approx(1)
    assert statistics.line([1, 2, 3, 4], [1, 4, 1, 4]).r_squared < 0.5
    with pytest.raises(ValueError, match="two different x"):
        statistics.line([1, 1], [2, 3])


def test_a_percentile_is_one_of_the_samples() -> None:
    samples = [float(n) for n in range(1, 101)]
    assert [statistics.percentile(samples, p) for p in (50, 90, 99)] == [50, 90, 99]


def test_subjects_run_in_turns_after_all_are_warm() -> None:
    ran: list[str] = []
    subjects = [
        Subject(name, lambda name=name: ran.append(name), warm=lambda name=name: ran.append(f"warm {name}"))  # type: ignore[misc]
        for name in "AB"
    ]
    labels: list[str] = []
    samples = in_turns(subjects, repeats=2, on_run=labels.append)
    assert ran == ["warm A", "warm B", "A", "B", "A", "B"]
    assert labels == ["A: warm-up", "B: warm-up", "A: 1 of 2", "B: 1 of 2", "A: 2 of 2", "B: 2 of 2"]
    assert [len(samples[name]["seconds"]) for name in "AB"] == [2, 2]


def test_a_run_may_return_its_own_seconds_and_more() -> None:
    samples = in_turns([Subject("A", lambda: {"seconds": 7.0, "first audio": 1.0})], repeats=2)
    assert samples == {"A": {"seconds": [7.0, 7.0], "first audio": [1.0, 1.0]}}
