#!/usr/bin/env bash
# Package: wyoming 1.10.2
# Behaviour: async_read_event returns None for a line that is not JSON, as it does at the end of the connection, and its
#   server then leaves without a word. JSON that is no event raises KeyError or AttributeError instead.
# A good guess: one error for all that is no event, and None for the end alone.
# Seen 2026-11-28: at the end: None; not JSON: None; no type: KeyError; a list: AttributeError
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check wyoming==1.10.2

"$work/env/bin/python" -W ignore - << 'PYTHON'
import asyncio

from wyoming.event import async_read_event


async def read(data: bytes) -> str:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    try:
        return str(await async_read_event(reader))
    except Exception as error:
        return type(error).__name__


sent = {"at the end": b"", "not JSON": b"hello\n", "no type": b"{}\n", "a list": b"[]\n"}
seen = {name: asyncio.run(read(data)) for name, data in sent.items()}
print("; ".join(f"{name}: {what}" for name, what in seen.items()))
assert list(seen.values()) == ["None", "None", "KeyError", "AttributeError"]
PYTHON
