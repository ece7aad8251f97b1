"""What `serve --through gateway` hears of a stream."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.serve.through import Heard, by_http

HALF_A_SECOND = {"pcm": 24_000, "mp3": 4_000, "opus": 5_000}  # bytes


async def heard(name: str) -> Heard:
    """By a client of a gateway that sends half a second twice, the second one 0.8 s after the first."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        piece = bytes(HALF_A_SECOND[name])
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for wait_s in (0.0, 0.8):
            await asyncio.sleep(wait_s)
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        writer.write(b"0\r\n\r\n")

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        return await by_http(server.sockets[0].getsockname()[1], 1, {}, name=name)


@pytest.mark.parametrize("name", ["pcm", "mp3"])
def test_a_player_of_a_constant_bit_rate_waits_for_late_audio(name: str) -> None:
    found = asyncio.run(heard(name))
    assert found.lengths == [0.5, 0.5]
    assert found.pause is not None and 0.25 < found.pause < 5


def test_of_opus_only_the_times_are_known() -> None:
    found = asyncio.run(heard("opus"))
    assert len(found.arrivals) == 2 and found.pause is None
