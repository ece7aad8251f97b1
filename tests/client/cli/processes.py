"""The command `bark` as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import bark_client
from tests.client.fake_triton import FakeTriton


def python_bark(*arguments: str, triton: FakeTriton, **more: Any) -> subprocess.Popen[bytes]:
    """`bark …` as a process of its own; `more` is for Popen."""
    environment = {**os.environ, "BARK_URL": triton.url, "PYTHONPATH": str(Path(bark_client.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-m", "bark_client", *arguments],
        env=environment,
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "preexec_fn": partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # jobs in the background begin without
            **more,
        },
    )
