#!/usr/bin/env bash
# Package: uvicorn 0.54.0, httptools 0.9.0, h11 0.16.0
# Behaviour: with httptools, which uvicorn takes when it is installed, an answer without a content-length goes to an
#   HTTP/1.0 client with "transfer-encoding: chunked". That client has no chunks: it keeps their sizes as part of the
#   body. With h11, the same program sends the plain body and closes the connection.
# A good guess: both parsers serve HTTP/1.0 alike, and no server sends chunks there (RFC 9112, section 6.1).
# Seen 2026-11-30: httptools: b'5\r\nsound\r\n5\r\nsound\r\n0\r\n\r\n'; h11: b'soundsound'
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check \
    uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0

"$work/env/bin/python" - << 'PYTHON'
import asyncio
import socket

import uvicorn


async def answer_in_two_parts(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"audio/pcm")]})
    await send({"type": "http.response.body", "body": b"sound", "more_body": True})
    await send({"type": "http.response.body", "body": b"sound"})


async def answer_of(parser: str) -> tuple[bytes, bytes]:
    """Head and body, as they come over the wire to a client of HTTP/1.0."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(answer_in_two_parts, http=parser, lifespan="off", log_level="error"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    server.should_exit = True
    await serving
    print(f"{parser}: {body!r}")
    return head.lower(), body


head, body = asyncio.run(answer_of("httptools"))
assert b"transfer-encoding: chunked" in head
assert body == b"5\r\nsound\r\n5\r\nsound\r\n0\r\n\r\n"
head, body = asyncio.run(answer_of("h11"))
assert b"transfer-encoding" not in head
assert body == b"soundsound"
PYTHON
