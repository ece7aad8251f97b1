"""`POST /v1/audio/speech/batch`: several texts in one request, each with its own result or error."""

from __future__ import annotations

import asyncio
import base64
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from bark_client import BarkError
from bark_gateway.errors import GatewayError, as_answer, from_validation, invalid
from bark_gateway.gateway import Gateway, OfGateway, OfKey
from bark_gateway.keys import Key
from bark_gateway.requests import Call, SpeechRequest
from bark_gateway.routes.answers import ERRORS, ErrorBody
from bark_gateway.routes.keyed import KeyedRoute
from bark_gateway.speech import described
from bark_gateway.streaming import unless_left

router = APIRouter(responses=ERRORS, route_class=KeyedRoute)
PATH: Final = "/v1/audio/speech/batch"
AT_ONCE: Final = 4  #: items of one batch that are spoken at once, so that others get their turn


class Batch(BaseModel):
    """Some texts."""

    model_config = ConfigDict(extra="forbid")
    item: ClassVar = SpeechRequest  # a wrong one is an error of its own, so `items` does not check it
    items: Annotated[list[dict[str, Any]], FailFast()] = Field(  # an error for each of a million takes gigabytes
        min_length=1, description="Each is what `POST /v1/audio/speech` takes, without `stream_format`."
    )


class Item(BaseModel):
    """What became of one text: `audio`, or `error`."""

    index: int
    format: str | None = None
    audio: str | None = Field(default=None, description="The file, in base64.")
    bark: dict[str, Any] | None = Field(default=None, description="Seed, seconds, warnings, pieces, as in events.")
    error: ErrorBody | None = None


class Results(BaseModel):
    """The results in the order of the items."""

    object: str = "list"
    data: list[Item]


@router.post(PATH)
async def create_batch(body: Batch, request: Request, gateway: OfGateway, key: OfKey) -> Results:
    """Speak several texts. The answer comes when all are spoken; a wrong item is an error of its own."""
    most = gateway.settings.max_items
    if len(body.items) > most:
        raise invalid(f"items: there are {len(body.items)}; at most {most} are spoken in one batch.", param="items")
    at_once = asyncio.Semaphore(min(AT_ONCE, key.requests_in_flight or AT_ONCE))

    async def limited(index: int, fields: dict[str, Any]) -> Item:
        async with at_once:
            return await _spoken(index, fields, gateway=gateway, key=key)

    async def all_items() -> list[Item]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(limited(index, fields)) for index, fields in enumerate(body.items)]
        return [task.result() for task in tasks]

    return Results(data=await unless_left(request.receive, all_items()))


async def _spoken(index: int, fields: dict[str, Any], *, gateway: Gateway, key: Key) -> Item:
    try:
        call, data, bark = await _speech(fields, gateway=gateway, key=key)
    except (GatewayError, BarkError) as error:
        return Item(index=index, error=ErrorBody(**as_answer(error).envelope()["error"]))
    return Item(index=index, format=call.format, audio=base64.b64encode(data).decode(), bark=bark)


async def _speech(fields: dict[str, Any], *, gateway: Gateway, key: Key) -> tuple[Call, bytes, dict[str, Any]]:
    try:
        item = SpeechRequest.model_validate(fields)
    except ValidationError as error:
        raise from_validation(error.errors(), model=SpeechRequest) from None
    if item.stream_format == "sse":
        raise invalid("stream_format: a batch is not streamed; leave it out.", param="stream_format")
    call = replace(Call.of(item, item.input, settings=gateway.settings), whole=True)
    data, bark = bytearray(), {}
    async with aclosing(gateway.speak(call, key=key)) as parts:
        async for part in parts:
            data += part.data
            if part.summary is not None:
                bark = described(call, part.summary)
    return call, bytes(data), bark
