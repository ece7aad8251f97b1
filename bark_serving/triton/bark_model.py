"""The Triton model ``bark``: requests in, audio chunks out, over a decoupled stream.

``execute`` only schedules. One event loop on a thread of its own conducts all requests.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import aclosing
from typing import Any

import numpy as np

from bark_serving.arrays import Array
from bark_serving.bundle import load_tokenise, mapped
from bark_serving.errors import Cancelled, InvalidRequest
from bark_serving.speech.orchestrator import Answer, Orchestrator
from bark_serving.speech.request import parse
from bark_serving.speech.stage_capabilities import StageInterface
from bark_serving.triton.bls import BlsCaller
from bark_serving.triton.metrics import SpeechMetrics
from bark_serving.triton.parameters import Parameters, open_library
from bark_serving.triton.tensors import failure, finish, inputs_of, response

log = logging.getLogger(__name__)

#: Seconds between looks at whether a client has gone: Triton has no event for it.
CANCEL_POLL = 0.05
HANGING_UP = 0.05  #: seconds that a client may take to hang up on an error


class BarkModel:
    """Conducts speech requests; see `Orchestrator`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        parameters = Parameters(args)
        bundle = parameters.bundle()
        interface = StageInterface.model_validate_json(parameters.text("interface"))
        self._spec = interface.defaults(bundle.spec)
        self._orchestrator = Orchestrator(
            BlsCaller(),
            spec=self._spec,
            embeddings=mapped(bundle.weights("semantic"), "token_embedding.weight"),
            tokenise=load_tokenise(bundle.tokenizer),
            voices=open_library(parameters),
            concurrency=parameters.number("sentences"),
            in_flight=parameters.number("in_flight"),
            interface=interface,
        )
        self._metrics = SpeechMetrics()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="orchestrator", daemon=True)
        self._thread.start()
        self._running: set[Future[None]] = set()

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            sender = request.get_response_sender()
            future = asyncio.run_coroutine_threadsafe(self._answer(inputs_of(request), sender), self._loop)
            self._running.add(future)
            future.add_done_callback(self._running.discard)

    def finalize(self) -> None:
        for future in list(self._running):
            future.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _answer(self, inputs: dict[str, Array], sender: Any) -> None:
        """Serve one request; whatever happens, its stream ends."""
        try:
            speaking = asyncio.ensure_future(self._speak(inputs, sender))
            await _cancel_when_client_leaves(speaking, sender)
            self._metrics.ended("spoken")
        except asyncio.CancelledError:
            sender.send(failure(Cancelled("the request was cancelled.")))
            self._metrics.ended("cancelled")
        except BaseException as error:  # a panic of a library in Rust is no Exception
            refused = isinstance(error, InvalidRequest)
            if not refused:
                log.exception("a request failed")
            sender.send(failure(error))
            self._metrics.ended("refused" if refused else "failed")
            await _hung_up(sender)
        finally:
            finish(sender)

    async def _speak(self, inputs: dict[str, Array], sender: Any) -> None:
        request = parse(read_inputs(inputs), spec=self._spec)
        async with aclosing(self._orchestrator.speak(request, request_id=uuid.uuid4().hex)) as answers:
            async for answer in answers:
                sender.send(response(_outputs(answer)))
                if answer.report["last"]:
                    self._metrics.spoke(answer.report)


async def _hung_up(sender: Any) -> None:
    """Wait until the client has gone, no longer than `HANGING_UP`.

    Many clients hang up on an error; when they do so as Triton (24.10) closes the stream, it crashes.
    """
    deadline = time.monotonic() + HANGING_UP
    while not sender.is_cancelled() and time.monotonic() < deadline:
        await asyncio.sleep(HANGING_UP / 10)


async def _cancel_when_client_leaves(task: asyncio.Task[None], sender: Any) -> None:
    """Wait for the task; cancel it once its client is gone, or when waiting is cancelled itself."""
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=CANCEL_POLL)
            if sender.is_cancelled():
                task.cancel()
                await asyncio.wait({task})
        await task
    finally:
        task.cancel()


def read_inputs(inputs: dict[str, Array]) -> dict[str, Any]:
    """Tensors to Python values: one element to a scalar, bytes to text, a voice's arrays as they are."""
    values: dict[str, Any] = {}
    for name, array in inputs.items():
        if name.endswith("_prompt"):
            values[name] = array
            continue
        if array.size != 1:
            raise InvalidRequest(f"{name} has {array.size} elements; it must have one.")
        value = array.reshape(-1)[0]
        try:
            values[name] = value.decode() if isinstance(value, bytes) else value.item()
        except UnicodeDecodeError:
            raise InvalidRequest(f"{name} is not valid UTF-8.") from None
    return values


def _outputs(answer: Answer) -> dict[str, Array]:
    outputs: dict[str, Array] = {
        "audio": answer.audio.astype(np.float32),
        "report": np.array([json.dumps(answer.report, ensure_ascii=False).encode()], np.object_),
    }
    if answer.tokens is not None:
        outputs["semantic_tokens"] = answer.tokens.semantic
        outputs["coarse_tokens"] = answer.tokens.coarse
        outputs["fine_tokens"] = answer.tokens.fine
    return outputs
