"""The Triton model ``bark``: requests in, audio chunks out, over a decoupled stream.

``execute`` only schedules. One event loop, on its own thread, runs all requests.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import uuid
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from contextlib import aclosing
from typing import Any

import numpy as np

from bark_serving.arrays import Array
from bark_serving.bundle import Vocabulary, mapped
from bark_serving.errors import Cancelled, InvalidRequest
from bark_serving.speech.job import Answer
from bark_serving.speech.orchestrator import Orchestrator
from bark_serving.speech.report import SpeechSummary
from bark_serving.speech.request import CHECK_ID, check_parameters, parse
from bark_serving.speech.stage_capabilities import StageCapabilities
from bark_serving.triton.bls import BlsCaller
from bark_serving.triton.metrics import Outcome, SpeechMetrics
from bark_serving.triton.parameters import Parameters, open_library
from bark_serving.triton.tensors import failure, finish, inputs_of, read_inputs, response
from bark_tracing import open_tracing

log = logging.getLogger(__name__)

CANCEL_POLL_S = 0.05  #: between two checks whether a client is still there: Triton has no event for it
HEARTBEAT = "bark-heartbeat"  #: the parameter of a request whose client wants heartbeats
HEARTBEAT_S = 0.5  #: of silence before a heartbeat
CLIENT_CLOSE_GRACE_S = 0.05  #: that a client gets to close its stream after an error


class BarkModel:
    """Speaks; see `Orchestrator`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        parameters = Parameters(args)
        bundle = parameters.bundle()
        self._spec = bundle.spec
        self._capabilities = StageCapabilities.model_validate_json(parameters.text("capabilities"))
        self._orchestrator = Orchestrator(
            BlsCaller(),
            spec=bundle.spec,
            checkpoint=bundle.label,
            embeddings=mapped(bundle.weights("semantic"), "token_embedding.weight"),
            vocabulary=Vocabulary(bundle.tokenizer),
            voices=open_library(parameters),
            max_batch=parameters.number("max_batch"),
            capabilities=self._capabilities,
        )
        self._metrics = SpeechMetrics()
        self._tracing = open_tracing("bark-triton", library="bark_serving")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="orchestrator", daemon=True)
        self._thread.start()
        self._running: set[Future[None]] = set()

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            parameters = json.loads(request.parameters() or "{}")
            sender = Sender(request.get_response_sender(), heartbeat=bool(parameters.get(HEARTBEAT)))
            count = _Count(self._metrics, check=request.request_id() == CHECK_ID)
            speaking = self._speak(inputs_of(request), parameters, sender, count)
            future = asyncio.run_coroutine_threadsafe(serve(speaking, sender, count), self._loop)
            self._running.add(future)
            future.add_done_callback(self._running.discard)

    def finalize(self) -> None:
        for future in list(self._running):
            future.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._tracing.close()

    async def _speak(
        self, inputs: dict[str, Array], parameters: Mapping[str, Any], sender: Sender, count: _Count
    ) -> None:
        check_parameters(parameters)
        request = parse(read_inputs(inputs), spec=self._spec, capabilities=self._capabilities)
        with self._tracing.request(
            "bark.request", traceparent=parameters.get("traceparent"), characters=len(request.text)
        ) as span:
            speaking = self._orchestrator.speak(request, request_id=uuid.uuid4().hex, span=span)
            async with aclosing(speaking) as answers:
                async for answer in answers:
                    sender.send(response(_outputs(answer)))
                    if answer.report.summary is not None:
                        count.spoke(answer.report.summary)
                        span.note(audio_seconds=answer.report.summary.audio_seconds)


class Sender:
    """Sends the answers of one request, and empty ones while there is nothing to send, if its client wants them.

    A client cannot learn from Triton (24.10) that this process died: its stream would stay open for ever.
    """

    def __init__(self, sender: Any, *, heartbeat: bool) -> None:
        self._sender, self._heartbeat = sender, heartbeat
        self._sent = float("-inf")

    def send(self, answer: Any = None, *, flags: int = 0) -> None:
        self._sent = time.monotonic()
        self._sender.send(*(() if answer is None else (answer,)), flags=flags)

    def beat(self) -> None:
        """Send a heartbeat if one is due."""
        if self._heartbeat and time.monotonic() - self._sent >= HEARTBEAT_S:
            self.send(response({}))

    def is_cancelled(self) -> bool:
        return bool(self._sender.is_cancelled())


class _Count:
    """The metrics of one request. A check, which nobody listens to, counts as a check and as nothing else.

    Only the orchestrator's thread calls it. Triton (24.10) crashes when two threads of a model change metrics at once.
    """

    def __init__(self, metrics: SpeechMetrics, *, check: bool) -> None:
        self._metrics, self._check = metrics, check

    def begun(self) -> None:
        self._metrics.begun(check=self._check)

    def ended(self, outcome: Outcome) -> None:
        self._metrics.ended("check" if self._check else outcome)

    def spoke(self, summary: SpeechSummary) -> None:
        if not self._check:
            self._metrics.spoke(summary)


async def serve(speaking: Coroutine[Any, Any, None], sender: Sender, metrics: _Count) -> None:
    """Run what speaks one request and sends its answers. Whatever happens, the stream of the request ends."""
    metrics.begun()
    try:
        await _cancel_when_client_leaves(asyncio.ensure_future(speaking), sender)
        metrics.ended("spoken")
    except asyncio.CancelledError:
        sender.send(failure(Cancelled("the request was cancelled.")))
        metrics.ended("cancelled")
    except BaseException as error:  # a panic in a Rust library is not an Exception
        refused = isinstance(error, InvalidRequest)
        if not refused:
            log.exception("a request failed")
        sender.send(failure(error))
        metrics.ended("refused" if refused else "failed")
        await _wait_for_close(sender)
    finally:
        finish(sender)


async def _wait_for_close(sender: Sender) -> None:
    """Wait until the client has closed its stream, at most `CLIENT_CLOSE_GRACE_S`.

    Many clients close the stream after an error. Triton (24.10) crashes when it ends the stream at that moment.
    """
    deadline = time.monotonic() + CLIENT_CLOSE_GRACE_S
    while not sender.is_cancelled() and time.monotonic() < deadline:
        await asyncio.sleep(CLIENT_CLOSE_GRACE_S / 10)


async def _cancel_when_client_leaves(task: asyncio.Task[None], sender: Sender) -> None:
    """Wait for the task, with heartbeats. Cancel it when its client has gone, or when this wait is itself cancelled."""
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=CANCEL_POLL_S)
            if sender.is_cancelled():
                task.cancel()
                await asyncio.wait({task})
            elif not task.done():
                sender.beat()
        await task
    finally:
        task.cancel()


def _outputs(answer: Answer) -> dict[str, Array]:
    outputs: dict[str, Array] = {
        "audio": answer.audio.astype(np.float32),
        "report": np.array([answer.report.to_json()], np.object_),
    }
    if answer.tokens is not None:
        outputs["semantic_tokens"] = answer.tokens.semantic
        outputs["coarse_tokens"] = answer.tokens.coarse
        outputs["fine_tokens"] = answer.tokens.fine
    return outputs
