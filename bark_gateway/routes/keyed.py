"""Routes that look at the key, and at the type of the body, before they read it.

FastAPI reads the body before it asks a route's dependencies, so those would look at the key too late. JSON in the place
of a form is an empty form to it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import Request, UploadFile, params
from fastapi.routing import APIRoute
from starlette.responses import Response

from bark_gateway.errors import invalid
from bark_gateway.gateway import Gateway
from bark_gateway.keys import Key

_JSON: Final = re.compile(r"application/([^/]+\+)?json")
_MAX_TYPE: Final = 60  #: characters of a content type that are told


class KeyedRoute(APIRoute):
    """A route whose body is read only once the key is known, and if it has the type that the route takes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def with_key(request: Request) -> Response:
            gateway: Gateway = request.app.state.gateway
            key = gateway.keys.of(request)
            if self.body_field is not None:
                _check_type(request.headers.get("content-type", ""), body=self.body_field.field_info)
            async with self._turn(gateway, key):
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


def _check_type(content_type: str, *, body: Any) -> None:
    """Raise GatewayError for another content type than that of the body which a route takes."""
    sent = content_type.partition(";")[0].strip().lower()
    form = isinstance(body, params.Form)
    if sent == body.media_type or (not form and _JSON.fullmatch(sent)):
        return
    remedy = "Send a JSON object, with -H 'content-type: application/json' if you use curl."
    if form:
        needed = {name: field.annotation for name, field in body.annotation.model_fields.items() if field.is_required()}
        fields = (f"-F {name}={'@FILE' if of is UploadFile else name.upper()}" for name, of in needed.items())
        remedy = f"Send a form, as `curl {' '.join(fields)}` does."
    raise invalid(
        f"The content-type is {sent[:_MAX_TYPE] or 'missing'}; this path takes {body.media_type}. {remedy}",
        code="unsupported_content_type",  # as at OpenAI, with 400
    )
