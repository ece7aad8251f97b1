"""The application: routes, errors and what surrounds them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from bark_client import BarkError, __version__
from bark_gateway import targets
from bark_gateway.access import BodyLimit, Bugs, HeadAsGet, KnownOrigins, Observed, Size, Stopping, note_outcome
from bark_gateway.errors import GatewayError, from_http, from_sdk, from_validation
from bark_gateway.gateway import Gateway
from bark_gateway.keys import Key, KeyRing
from bark_gateway.routes import batch, health, models, speech, voices
from bark_gateway.routes import socket as socket_route
from bark_gateway.routes.page import ENCODE, add_page
from bark_gateway.servers import Servers, connect
from bark_gateway.settings import FIELDS_BYTES, Settings
from bark_gateway.targets import Resolve
from bark_gateway.voice_names import checked_names
from bark_gateway.wyoming import wyoming as speak_wyoming
from bark_tracing import Tracing, open_tracing

ROUTERS: Final = (
    speech.router, batch.router, socket_route.router, voices.uploads, voices.router, models.router, health.router,
)  # fmt: skip


def make_app(
    settings: Settings,
    *,
    keys: KeyRing | None = None,
    tracing: Tracing | None = None,
    resolve: Resolve = targets.resolve,
    wyoming: tuple[Sequence[socket.socket], Key] | None = None,
) -> FastAPI:
    """The ASGI application of a gateway.

    resolve: asks the DNS. Tests give their own.
    wyoming: where to listen for it, and whose limits hold.
    """
    traces = tracing or open_tracing("bark-gateway", library="bark_gateway")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Servers(
            settings.servers,
            connect=partial(
                connect, connect_timeout_s=settings.connect_timeout_s, answer_timeout_s=settings.stream_answer_s
            ),
            lost_s=settings.lost_s,
            max_active=settings.max_active,
            resolve=resolve,
        ) as servers:
            app.state.gateway = Gateway(settings, servers=servers, keys=keys or KeyRing())
            async with AsyncExitStack() as stack:
                stack.enter_context(checked_names(settings.voices, servers=servers))
                if wyoming is not None:
                    listeners, key = wyoming
                    await stack.enter_async_context(
                        speak_wyoming(app.state.gateway, listeners=listeners, key=key, tracing=traces)
                    )
                yield
        traces.close()

    app = FastAPI(
        title="bark-triton gateway",
        version=__version__,
        description="OpenAI's speech interface in front of Bark on Triton.",
        lifespan=lifespan,
        docs_url=None,  # their pages load scripts of third parties
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in ROUTERS:
        app.include_router(router)
    add_page(app)
    _handle_errors(app)
    _drop_422(app)
    app.add_middleware(Bugs)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Stopping)
    app.add_middleware(BodyLimit, sizes=_sizes(settings), timeout_s=settings.body_s)
    app.add_middleware(KnownOrigins, origins=settings.cors, hosts=None if keys else settings.hosts)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors,
            allow_methods=["GET", "HEAD", "POST", "DELETE"],  # a HEAD with a key is asked for by its name
            allow_headers=["*"],  # OpenAI's client for JavaScript sends a dozen of its own
            expose_headers=["x-bark-seed", "x-request-id", "retry-after"],
        )
    app.add_middleware(Observed, tracing=traces)
    return app


def _sizes(settings: Settings) -> dict[str, Size]:
    """How large a body may be, by the beginning of its path."""
    characters, items, mib = settings.max_characters, settings.max_items, settings.max_upload_bytes / (1 << 20)
    longer = "The gateway's operator can allow longer ones with --max-characters."
    return {
        batch.PATH: Size(
            settings.max_batch_bytes, f"Send at most {items} texts of at most {characters} characters each. {longer}"
        ),
        voices.PREFIX: Size(
            settings.max_upload_bytes + FIELDS_BYTES,
            f"Send a recording of at most {mib:g} MiB. The gateway's operator can allow more with --max-upload-mb.",
        ),
        ENCODE: Size(settings.max_take_bytes, "Save it as WAV, or speak the text in several takes."),
        "": Size(settings.max_text_bytes, f"Send a text of at most {characters} characters. {longer}"),
    }


def _handle_errors(app: FastAPI) -> None:
    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _answer(request, from_http(error))

    async def of_sdk(request: Request, error: Exception) -> Response:
        assert isinstance(error, BarkError)
        return _answer(request, from_sdk(error))

    async def of_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        body = request.scope["route"].body_field
        model = body.field_info.annotation if body else BaseModel  # the path alone can be wrong, too
        return _answer(request, from_validation(error.errors(), model=model))

    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(BarkError, of_sdk)
    app.add_exception_handler(RequestValidationError, of_validation)


def _answer(request: Request, error: GatewayError) -> Response:
    note_outcome(request.scope, error)
    return error.response()


def _drop_422(app: FastAPI) -> None:
    """FastAPI says in `/openapi.json` that invalid requests get 422. Ours get 400, as at OpenAI.

    Where 422 means something else, the route says so, and FastAPI adds nothing.
    """
    made = app.openapi

    def openapi() -> dict[str, object]:
        described = made()
        for path in described["paths"].values():
            for operation in path.values():
                if operation["responses"].get("422", {}).get("description") == "Validation Error":
                    del operation["responses"]["422"]
        for name in ("HTTPValidationError", "ValidationError"):
            described["components"]["schemas"].pop(name, None)
        return described

    app.openapi = openapi  # type: ignore[method-assign]
