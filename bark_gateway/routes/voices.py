"""`/v1/audio/voices`: list voices, make one from a recording, hear one, delete one."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Coroutine
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import BaseModel, BeforeValidator
from starlette.responses import Response

from bark_client import AsyncBarkClient, InvalidRequest, VoiceInfo
from bark_client.audio import encode
from bark_gateway import shared_voices
from bark_gateway.errors import SET_UP_WRONGLY, GatewayError, from_sdk, invalid
from bark_gateway.gateway import Gateway, OfGateway, OfKey, check_voice, refused
from bark_gateway.keys import Key
from bark_gateway.routes.answers import ERRORS, of_kind
from bark_gateway.routes.keyed import UploadRoute
from bark_gateway.streaming import unless_left
from bark_gateway.wording import NO_VOICE

PREFIX: Final = "/v1/audio/voices"
router = APIRouter(prefix=PREFIX, responses=ERRORS)
uploads = APIRouter(prefix=PREFIX, responses=ERRORS, route_class=UploadRoute)
T = TypeVar("T")

_UPLOAD_FIELDS = ("name", "audio_sample", "consent", "type", "overwrite")


class Voice(BaseModel):
    """OpenAI's description of a voice, and what the server knows beside it."""

    id: str
    name: str
    object: Literal["audio.voice"] = "audio.voice"
    type: Literal["audio_sample"] = "audio_sample"
    created_at: int  #: seconds since 1970; 0 for a voice of the checkpoint
    language: str | None  #: two letters
    seconds: float
    stored: bool  #: it was cloned or uploaded, and can be deleted
    hash: str
    warnings: list[str] = []


class VoiceName(BaseModel):
    """What other programs read."""

    id: str
    name: str


class Voices(BaseModel):
    """All voices. `voices` is the form that Open WebUI and others read."""

    object: Literal["list"] = "list"
    data: list[Voice]
    voices: list[VoiceName]


class Deleted(BaseModel):
    """OpenAI's answer."""

    id: str
    object: Literal["audio.voice.deleted"] = "audio.voice.deleted"
    deleted: bool = True


def _kind(kind: Any) -> Any:
    if kind == "prompt":
        raise ValueError("a voice can't be made from a prompt here; send audio_sample, a recording")
    return kind


@router.get("")
async def list_voices(gateway: OfGateway, key: OfKey) -> Voices:
    """The voices that `voice` may name."""
    found = await gateway.servers.ask(lambda bark: bark.voices())
    data = [_voice(info) for info in found if key.may_use(info.name)]
    ids = [one.id for one in data]
    names = [*ids, *(name for name, of in gateway.settings.voices.items() if of in ids)]
    return Voices(data=data, voices=[VoiceName(id=name, name=name) for name in dict.fromkeys(names)])


@uploads.post(
    "", responses={SET_UP_WRONGLY: of_kind("The speech servers can't keep voices; only their operator can mend it.")}
)
async def create_voice(
    request: Request,
    gateway: OfGateway,
    key: OfKey,
    name: Annotated[str, Form(description="Its name, such as me or family/anna.")],
    audio_sample: Annotated[UploadFile, File(description="1 to 30 s of one person's clear speech.")],
    consent: Annotated[str, Form(description="Who agreed to it. It is written to the log.")] = "",
    kind: Annotated[
        Literal["audio_sample"], BeforeValidator(_kind), Form(alias="type", description="The only one.")
    ] = "audio_sample",
    overwrite: Annotated[bool, Form(description="Replace a voice of this name.")] = False,
) -> Voice:
    """Make a voice from a recording, and keep it on the server. Clone only voices whose owners agreed to it."""
    if unknown := sorted(set(await request.form()) - {*_UPLOAD_FIELDS}):
        raise invalid(
            f"{unknown[0]}: there is no such field. Send {', '.join(_UPLOAD_FIELDS)}; the first two are needed.",
            param=unknown[0],
            code="unknown_field",
        )
    _check_change(key, name)
    if name in gateway.settings.voices:
        raise invalid(
            f"name: {name!r} is another name of a voice here, which the gateway's operator gave with --voice. Choose "
            "another name.",
            param="name",
        )
    request.scope.setdefault("state", {})["consent"] = consent
    sound = io.BytesIO(await audio_sample.read())
    sound.name = audio_sample.filename or "the recording"

    warnings: list[str] = []

    async def cloned(bark: AsyncBarkClient) -> VoiceInfo:
        made = await bark.clone_voice(sound, name=name, overwrite=overwrite)
        warnings.extend(made.warnings)
        return await bark.voice_info(name)

    kept = shared_voices.keep(
        cloned, servers=gateway.servers, overwrite=overwrite, wait_s=gateway.settings.shared_voices_s
    )  # fmt: skip
    try:
        voice = _voice(await unless_left(request.receive, kept))
    except InvalidRequest as error:
        told, about_sound = from_sdk(error).message, (sound.name, "the clip", "audio ", "sample_rate ")
        param = "audio_sample" if told.startswith(about_sound) else "name" if " name" in told else None
        raise invalid(told, param=param) from None
    return voice.model_copy(update={"warnings": warnings})


@router.get(
    "/{name:path}/preview",
    response_class=Response,
    responses={200: {"content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def preview_voice(name: str, request: Request, gateway: OfGateway, key: OfKey) -> Response:
    """What a voice sounds like: its own audio, as a WAV of at most half a minute."""
    voice = _allowed(name, gateway=gateway, key=key)
    with gateway.quotas.request(key):
        async with gateway.uploads:
            preview = await unless_left(
                request.receive, _of(gateway.servers.ask(lambda bark: bark.preview_voice(voice)), key=key)
            )
    data = await asyncio.to_thread(encode, preview.samples, sample_rate=preview.sample_rate)
    return Response(data, media_type="audio/wav")


@router.get("/{name:path}")
async def get_voice(name: str, gateway: OfGateway, key: OfKey) -> Voice:
    """One voice."""
    voice = _allowed(name, gateway=gateway, key=key)
    return _voice(await _of(gateway.servers.ask(lambda bark: bark.voice_info(voice)), key=key))


@router.delete("/{name:path}")
async def delete_voice(name: str, gateway: OfGateway, key: OfKey) -> Deleted:
    """Delete a voice that was cloned or uploaded. Those of the checkpoint stay."""
    _check_change(key, name)
    await _of(shared_voices.delete(name, servers=gateway.servers), key=key)
    return Deleted(id=name)


def _allowed(name: str, *, gateway: Gateway, key: Key) -> str:
    """The servers' name of a voice. Raises GatewayError: 403, if the key may not use it."""
    voice = gateway.settings.voices.get(name, name)
    check_voice(voice, key=key, asked=name)
    return voice


async def _of(answer: Coroutine[Any, Any, T], *, key: Key) -> T:
    """What a server says of the voice that the path names. 404 if there is none."""
    try:
        return await answer
    except InvalidRequest as error:
        told = refused(error, key=key)
        status = 404 if NO_VOICE in str(error) else 400
        raise GatewayError(status, told.message, param="voice", code=told.code) from None


def _check_change(key: Key, name: str) -> None:
    if not key.change_voices:
        raise GatewayError(403, "This key may not clone or delete voices.", code="voices_read_only")
    check_voice(name, key=key, asked=name)


def _voice(info: VoiceInfo) -> Voice:
    created: Any = info.created
    return Voice(
        id=info.name,
        name=info.name,
        created_at=int(created.timestamp()) if created else 0,
        language=info.language,
        seconds=round(info.seconds, 2),
        stored=info.stored,
        hash=info.hash,
    )
