"""A real server with the kernels and one without them: both speak, and the status says what runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bark_client import BarkClient
from bark_serving.bundle import Bundle
from bark_serving.engines.kernels import instruction_set
from bark_serving.server.status import describe
from tests.system.conftest import RealServer, real_server

TEXT = "The cat sat by the door."


@pytest.mark.slow
@pytest.mark.skipif(instruction_set() is None, reason="there are no kernels for this processor")
def test_int8_speaks_with_and_without_the_kernels(triton_int8: RealServer, tiny_bundle: Bundle, tmp_path: Path) -> None:
    """Greedy speech of the two is near, not equal: they round elsewhere."""
    with real_server(tiny_bundle, tmp_path, precision="int8", kernels=False) as without:
        for server, runtime in ((triton_int8, f"kernels ({instruction_set()})"), (without, "ONNX Runtime")):
            found = describe(server.settings.folder, name="test")
            assert found is not None and found.runtime == runtime
            with BarkClient(server.url) as client:
                samples = client.speak(TEXT, seed=1, max_duration=1.0).samples
            assert np.isfinite(samples).all() and len(samples) > 12_000
