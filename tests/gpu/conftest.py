"""The GPU that these tests need. Without a GPU they are skipped, with a message."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """``cuda:0``, or the device of ``--gpu-device``. With ``cpu`` the tests run, but prove nothing about a GPU."""
    name: str = request.config.getoption("gpu_device")
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("NO GPU: torch finds none here, so the torch profile was not compared with the CPU")
    return name
