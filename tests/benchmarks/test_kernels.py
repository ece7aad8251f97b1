"""`kernels`: operations and limits at toy sizes, and its table."""

from __future__ import annotations

import pytest

from bark_serving.engines.kernels import instruction_set
from benchmarks.kernels.measure import ARITHMETIC, BANDWIDTH, KERNELS, LIMITS, ONNX
from benchmarks.kernels.report import roof, table
from benchmarks.machine import describe
from benchmarks.results import Measurement, Result, make


def result(*, seconds: float) -> Result:
    facts = {"operations": 2e9, "bytes": 1e9}
    found = [
        Measurement(case=LIMITS, subject=BANDWIDTH, metric="rate", unit="/s", samples=(10e9,)),
        Measurement(case=LIMITS, subject=ARITHMETIC, metric="rate", unit="/s", samples=(100e9,)),
        *(
            Measurement(case="decode", subject=name, samples=(factor * seconds,), facts=facts)
            for name, factor in ((KERNELS, 1.0), (ONNX, 3.0))
        ),
    ]
    return make("kernels", found, on=describe(), settings={"bundle": "toy"})


def test_the_roofline_is_memory_then_arithmetic() -> None:
    assert roof(result(seconds=1), 2) == 20e9
    assert roof(result(seconds=1), 50) == 100e9


def test_the_table_has_the_ratio_and_the_share_of_the_roofline() -> None:
    """2e9 operations that read 1e9 bytes take 0.1 s at 10 GB/s; 0.2 s are half of the roofline."""
    [row] = table(result(seconds=0.2)).rows
    assert row[0] == "decode" and "3.00" in row[3] and row[4] == "50 %"


@pytest.mark.skipif(instruction_set() is None, reason="there are no kernels for this processor")
def test_limits_are_measured() -> None:
    from benchmarks.kernels.measure import limits

    found = {m.subject: m.median for m in limits(1)}
    assert 1e8 < found[BANDWIDTH] < 1e12 and 1e9 < found[ARITHMETIC] < 1e14
