"""An answer that is made while it is sent. A client that leaves stops the work, also before the first byte."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bark_client import BarkError
from bark_gateway.access import note_outcome
from bark_gateway.errors import GatewayError, as_answer, left

T = TypeVar("T")
log = logging.getLogger(__name__)


class Streamed(Response):
    """Sends the pieces of `body`. Its status is known when the first piece is there: an error before it is an answer.

    An error after it ends the connection before the end of the body, which every client notices. `failure` makes a last
    piece of it where the format has one for errors.
    """

    def __init__(
        self,
        body: AsyncGenerator[bytes],
        *,
        headers: Mapping[str, str],
        media_type: str,
        failure: Callable[[GatewayError], bytes] | None = None,
        send_timeout_s: float,
    ) -> None:
        super().__init__(media_type=media_type, headers=headers)
        del self.headers["content-length"]
        self._body, self._failure, self._send_timeout_s = body, failure, send_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = asyncio.create_task(self._work(scope, receive, send))
        left = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left.cancel()
            if not work.done():
                scope.setdefault("state", {})["outcome"] = "left"
                work.cancel()
        await asyncio.wait({work})
        if not work.cancelled() and (error := work.exception()):
            raise error

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False
        try:
            async with aclosing(self._body) as body:
                async for piece in body:
                    if not begun:
                        begun = True
                        await self._send(send, type="http.response.start", status=200, headers=self.raw_headers)
                    await self._send(send, type="http.response.body", body=piece, more_body=True)
        except TimeoutError:  # the client takes nothing any more
            scope.setdefault("state", {})["outcome"] = "left"
            return
        except (BarkError, GatewayError) as error:
            told = as_answer(error)
            note_outcome(scope, told)
            log.warning("a speech failed: %s", error)
            if not begun:
                await told.response()(scope, receive, send)
                return
            if self._failure is None:
                return  # without the end of the body
            await self._send(send, type="http.response.body", body=self._failure(told), more_body=True)
        await self._send(send, type="http.response.body", body=b"", more_body=False)

    async def _send(self, send: Send, **message: object) -> None:
        async with asyncio.timeout(self._send_timeout_s):
            await send(message)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def unless_left(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Await an answer in one piece. If the client leaves meanwhile, the work is cancelled; raises GatewayError."""
    task, leaving = asyncio.create_task(work), asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise left()
        return task.result()
    finally:
        leaving.cancel()
        task.cancel()
