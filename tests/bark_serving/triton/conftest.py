"""The stand-in for the module that Triton gives its Python models."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from bark_serving.triton.in_process import Backend


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """In place while a test runs. Modules that imported it, or another one before, are forgotten."""
    module = Backend()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in [name for name in sys.modules if name.startswith("bark_serving.triton")]:
        monkeypatch.delitem(sys.modules, name)
    before = set(sys.modules)
    yield module
    for name in set(sys.modules) - before:
        if name.startswith("bark_serving.triton"):
            del sys.modules[name]
