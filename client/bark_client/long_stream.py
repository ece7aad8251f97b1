"""A long text by the threaded client: request after request, while the caller reads."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from bark_client.exchange import END_GRACE_S, cancelled_error
from bark_client.long_text import Passage
from bark_client.request_stream import RequestStream
from bark_client.script import REQUESTS_AT_ONCE, Event, Finished, LongState, Script
from bark_client.speech import Chunk
from bark_client.stream import SpeechStream


class LongStream(LongState, SpeechStream):
    """Speaks passages one after the other.

    A thread reads the text and sends the requests. It is at most one request ahead of the caller, so that audio goes on
    without a pause, and memory stays flat. ``request`` makes one; its arguments are a text and `Script.arguments`.
    """

    def __init__(
        self, request: Callable[..., RequestStream], passages: Iterator[Passage], *, script: Script, keep: bool = False
    ) -> None:
        super().__init__(script, keep=keep)
        self._request, self._passages = request, passages
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._permits = threading.Semaphore(REQUESTS_AT_ONCE)
        self._stopped = threading.Event()
        self._current: RequestStream | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="bark-long-text", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()
        if self._thread is not None:
            self._thread.join(END_GRACE_S)  # it may be waiting for text, which nobody can stop

    def __next__(self) -> Chunk:
        for event in self.events():
            if isinstance(event, Chunk):
                return event
        raise StopIteration

    def events(self) -> Iterator[Chunk | Finished]:
        """The chunks, and after those of each request what it was."""
        return iter(self._next, None)

    def cancel(self) -> None:
        self._stopped.set()
        self._permits.release()
        self._queue.put(cancelled_error())  # for a caller that waits while the text does not come
        if self._current is not None:
            self._current.cancel()

    def _next(self) -> Chunk | Finished | None:
        """The next event; None at the end."""
        if self._thread is None:
            raise RuntimeError("enter the stream first: `with client.stream(…) as stream:`")
        if self._is_over():
            return None
        event = self._queue.get()
        if isinstance(event, Finished):
            self._permits.release()
        return self._take(event)

    def _run(self) -> None:
        """In the thread: all requests, to the queue; then None, or the error that ended them."""
        try:
            for passage in self._passages:
                self._permits.acquire()
                self._queue.put(self._spoken(passage))
            self._script.ended()
            self._queue.put(None)
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            self._queue.put(error)

    def _spoken(self, passage: Passage) -> Finished:
        stream = self._current = self._request(self._script.text(passage), **self._script.arguments())
        if self._stopped.is_set():
            raise cancelled_error()
        with stream:
            for chunk in stream:
                self._queue.put((chunk, passage))
        return self._script.finished(passage, stream.summary, stream.tokens)
