"""Routes that look at the key before they read the body.

FastAPI reads the body before it asks a route's dependencies, so those would look at the key too late.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from bark_gateway.gateway import Gateway
from bark_gateway.keys import Key


class KeyedRoute(APIRoute):
    """A route whose body is read only once the key is known."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def with_key(request: Request) -> Response:
            gateway: Gateway = request.app.state.gateway
            async with self._turn(gateway, gateway.keys.of(request)):
                return await handle(request)

        return with_key

    @asynccontextmanager
    async def _turn(self, gateway: Gateway, key: Key) -> AsyncIterator[None]:
        """Begins when the body may be read, and ends with the answer."""
        yield


class UploadRoute(KeyedRoute):
    """A route that takes a file: its body is read only once it is the turn of this upload, too."""

    @asynccontextmanager
    async def _turn(self, gateway: Gateway, key: Key) -> AsyncIterator[None]:
        with gateway.quotas.request(key):
            async with gateway.uploads:
                yield
