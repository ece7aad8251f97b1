"""What a request tells a tracer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bark_serving.errors import StageFailed
from bark_tracing import Span
from tests.fake_stages import THREE, Stages, make, request_of


class Recorded(Span):
    def __init__(self, name: str) -> None:
        self.name, self.children, self.attributes = name, list[Recorded](), dict[str, Any]()
        self.error: BaseException | None = None
        self.ends = 0

    def child(self, name: str, *, seconds: float = 0.0, **attributes: Any) -> Recorded:
        child = Recorded(name)
        child.note(seconds=seconds, **attributes)
        self.children.append(child)
        return child

    def note(self, **attributes: Any) -> None:
        self.attributes |= attributes

    def end(self, error: BaseException | None = None) -> None:
        self.error, self.ends = error, self.ends + 1


def spoken(stages: Stages, tmp_path: Path, text: str = THREE) -> Recorded:
    span = Recorded("request")

    async def run() -> None:
        answers = make(stages, tmp_path).speak(request_of(text), request_id="r", span=span)
        async for _ in answers:
            pass

    asyncio.run(run())
    return span


def test_each_piece_has_a_span_with_the_calls_of_its_stages(tmp_path: Path) -> None:
    pieces = spoken(Stages(), tmp_path).children
    assert [(piece.name, piece.attributes["index"]) for piece in pieces] == [("bark.piece", n) for n in range(3)]
    for piece in pieces:
        names = {call.name for call in piece.children}
        assert names == {"bark.semantic", "bark.coarse", "bark.fine", "bark.encodec_decode"}
        made = {name: sum(call.attributes["amount"] for call in piece.children if call.name == name) for name in names}
        assert min(made.values()) > 0 and all(call.attributes["seconds"] >= 0 for call in piece.children)
        assert piece.attributes["verdict"] and piece.attributes["attempts"] >= 1
        assert {one.ends for one in (piece, *piece.children)} == {1}


def test_a_stage_that_fails_is_the_error_of_its_piece(tmp_path: Path) -> None:
    stages, span = Stages(), Recorded("request")

    def broken(model: str, inputs: dict[str, Any]) -> Any:
        if model == "coarse":
            raise StageFailed("it broke.")
        return None

    stages.before = broken

    async def run() -> None:
        async for _ in make(stages, tmp_path).speak(request_of("One."), request_id="r", span=span):
            pass

    with pytest.raises(StageFailed):
        asyncio.run(run())
    (piece,) = span.children
    assert piece.error is not None and piece.ends == 1
