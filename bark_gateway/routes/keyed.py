"""Routes that look at the key before they read the body.

FastAPI reads the body before it asks a route's dependencies, so those would look at the key too late.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from bark_gateway.gateway import Gateway

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class KeyedRoute(APIRoute):
    """A route whose body is read only once the key is known."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def with_key(request: Request) -> Response:
            gateway: Gateway = request.app.state.gateway
            gateway.keys.of(request)
            return await handle(request)

        return with_key


class UploadRoute(APIRoute):
    """A route that takes a file: its body is read only once the key is known and it is the turn of this upload."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def in_turn(request: Request) -> Response:
            gateway: Gateway = request.app.state.gateway
            with gateway.quotas.request(gateway.keys.of(request)):
                async with gateway.uploads:
                    return await handle(request)

        return in_turn
