"""A stand-in for the `sounddevice` package."""

from __future__ import annotations

import types
from typing import Any

import numpy as np


class FakeSoundDevice(types.ModuleType):
    """Records what is played, and how often it was handed over."""

    class PortAudioError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.log: list[Any] = []
        log = self.log

        class OutputStream:
            def __init__(self, **arguments: Any) -> None:
                log.append(arguments)

            def start(self) -> None:
                log.append("start")

            def write(self, samples: np.ndarray) -> None:
                log.append(samples.shape)

            def stop(self) -> None:
                log.append("stop")

            def close(self) -> None:
                log.append("close")

        self.OutputStream = OutputStream
