"""Bark's model class, loaded as ``trtllm-build`` loads it, on the stand-in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import Any
from unittest import mock

import pytest

from build_engines.trtllm.command import MODEL_CLASS, MODEL_FILE
from tests.build_engines.trtllm import stand_in


@pytest.fixture(scope="session")
def model_class() -> Iterator[Any]:
    """``BarkForCausalLM``. While its file is imported, this project cannot be, because the container lacks it."""
    ours = dict.fromkeys([name for name in sys.modules if name.split(".")[0] in ("build_engines", "bark_serving")])
    with mock.patch.dict(sys.modules, {**stand_in.modules(), **ours}):
        loader = SourceFileLoader("models", str(MODEL_FILE))
        spec = spec_from_loader("models", loader)
        assert spec
        module: Any = module_from_spec(spec)
        loader.exec_module(module)
    yield getattr(module, MODEL_CLASS)
