"""Speech that is faster or slower, at the same pitch: FFmpeg's filter `atempo` (WSOLA), while the samples come."""

from __future__ import annotations

from typing import Any, Final

import av
import numpy as np
from av.filter import Graph

from bark_gateway.encoding import Samples

MIN_SPEED, MAX_SPEED = 0.25, 4.0  #: OpenAI's
_MIN_STEP: Final = 0.5  #: of one filter


class Tempo:
    """Takes samples and gives those of the same speech at `speed` times the pace. At 1 it changes nothing."""

    def __init__(self, speed: float, *, sample_rate: int) -> None:
        self._graph = None if speed == 1.0 else _graph(speed, sample_rate=sample_rate)
        self._rate, self._position = sample_rate, 0

    def feed(self, samples: Samples) -> Samples:
        """The samples that are ready now."""
        if self._graph is None or not samples.size:
            return samples
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="flt", layout="mono")
        frame.sample_rate, frame.pts = self._rate, self._position
        self._position += samples.size
        self._graph.push(frame)
        return self._ready()

    def end(self) -> Samples:
        """The rest."""
        if self._graph is None or not self._position:
            return np.zeros(0, np.float32)
        self._graph.push(None)
        return self._ready()

    def _ready(self) -> Samples:
        parts: list[Samples] = []
        while True:
            try:
                parts.append(self._graph.pull().to_ndarray().reshape(-1))  # type: ignore[union-attr]
            except (av.BlockingIOError, av.EOFError):
                return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _graph(speed: float, *, sample_rate: int) -> Any:
    """A chain of filters, since one does not go below `_MIN_STEP`."""
    steps = []
    while speed < _MIN_STEP:
        steps.append(_MIN_STEP)
        speed /= _MIN_STEP
    graph: Any = Graph()
    last = graph.add_abuffer(sample_rate=sample_rate, format="flt", layout="mono")
    for name, arguments in [*(("atempo", str(step)) for step in (*steps, speed)), ("abuffersink", None)]:
        following = graph.add(name, arguments)
        last.link_to(following)
        last = following
    graph.configure()
    return graph
