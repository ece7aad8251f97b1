"""Stand-ins for servers that count the requests that they have at once."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

from tests.client import fake_triton
from tests.client.fake_triton import Behaviour, FakeTriton


class CountingServer(FakeTriton):
    """Takes `seconds` for each request; `first` are behaviours of the first ones. Notes how many there were at once."""

    def __init__(self, *, seconds: float = 0.0, first: list[Behaviour] | None = None) -> None:
        self.running = self.most = 0
        self.finished: Counter[str] = Counter()  # texts of requests that came to their end
        self._seconds, self._first, self._counts = seconds, deque(first or []), threading.Lock()
        super().__init__()
        self.plan = _Always(self._speak)  # type: ignore[assignment]

    def _speak(self, server: FakeTriton, inputs: dict[str, Any], context: Any) -> Iterator[Any]:
        with self._counts:
            behaviour = self._first.popleft() if self._first else fake_triton.speak
            self.running += 1
            self.most = max(self.most, self.running)
        gone = threading.Event()
        context.add_callback(gone.set)
        try:
            gone.wait(self._seconds)
            yield from behaviour(server, inputs, context)
            with self._counts:
                self.finished[inputs["text"].decode()] += 1
        finally:
            with self._counts:
                self.running -= 1


class _Always:
    """A plan that never ends."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    def __bool__(self) -> bool:
        return True

    def popleft(self) -> Behaviour:
        return self._behaviour
