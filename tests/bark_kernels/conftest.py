"""The kernels' tests run once for every instruction set that this processor has."""

from __future__ import annotations

import pytest

bark_kernels = pytest.importorskip("bark_kernels", reason="the kernels are not installed: pip install ./kernels")


@pytest.fixture(params=["avx2", "avx512vnni"])
def instruction_set(request: pytest.FixtureRequest) -> str:
    """An instruction set that this processor has."""
    name: str = request.param
    if name not in bark_kernels.instruction_sets():
        pytest.skip(f"this processor has no {name}")
    return name
