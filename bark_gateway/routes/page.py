"""`/`: a page that speaks, for people. Its files are in `bark_gateway/page`; there is no build step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import numpy as np
from fastapi import APIRouter, FastAPI, Request
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from bark_client.audio import FULL_SCALE, blocks
from bark_client.protocol import SAMPLE_RATE
from bark_gateway.encoding import Samples, open_encoder
from bark_gateway.errors import invalid, left
from bark_gateway.formats import MEDIA_TYPES, Format
from bark_gateway.gateway import OfKey
from bark_gateway.routes.keyed import UploadRoute

router = APIRouter(include_in_schema=False)
uploads = APIRouter(include_in_schema=False, route_class=UploadRoute)

FILES: Final = Path(__file__).parents[1] / "page"
ENCODE: Final = "/page/encode/"  #: begins the paths that take sound
#: Scripts, styles and sounds come from the gateway itself, and no other page may show this one in a frame.
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-cache",  # asks whether a file has changed; an ETag makes that cheap
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class _Files(StaticFiles):
    """The page's scripts and styles."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


@router.get("/")
async def page() -> FileResponse:
    """The page. It needs no key; what it asks for does."""
    return FileResponse(FILES / "index.html", headers=HEADERS)


@uploads.post(ENCODE + "{format}")
async def encode(format: Format, request: Request, key: OfKey) -> Response:  # noqa: A002
    """A take that was heard, as a file. The body is 16-bit mono samples at 24 kHz; nothing is spoken again."""
    try:
        encoded = await _encoded(request.stream(), format=format)
    except ClientDisconnect:
        raise left() from None
    return Response(
        encoded,
        headers={"cache-control": "no-store"},
        media_type=MEDIA_TYPES[format].format(rate=SAMPLE_RATE),
    )


async def _encoded(body: AsyncIterator[bytes], *, format: str) -> memoryview:  # noqa: A002
    """Encoded while it comes: only the file is in memory. Raises GatewayError if it can't be samples."""
    coder, data, rest, count = open_encoder(format, sample_rate=SAMPLE_RATE, whole=True), bytearray(), b"", 0
    async for some in body:
        piece = rest + some
        whole = len(piece) // 2 * 2
        rest, count = piece[whole:], count + len(some)
        for block in blocks(_samples(piece[:whole]), SAMPLE_RATE):
            data += await asyncio.to_thread(coder.feed, block)  # other requests come between
    if rest or not count:
        raise invalid(f"The body must be 16-bit samples; {count} bytes are none.", code="invalid_body")
    end = await asyncio.to_thread(coder.end)
    if data:  # PCM: other formats come as a whole, at the end
        data += end
    return memoryview(data or end)


def _samples(data: bytes) -> Samples:
    return np.frombuffer(data, "<i2").astype(np.float32) / FULL_SCALE


def add_page(app: FastAPI) -> None:
    """Add the page and its files."""
    app.include_router(router)
    app.include_router(uploads)
    app.mount("/page", _Files(directory=FILES))
