"""What the voice methods of both clients send and read. Pure: the clients make the calls that are described here.

A method that needs several calls is a generator: it yields a call, receives its outcome, and returns the result.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferResult, service_pb2

from bark_client.errors import InvalidRequest, ServerError
from bark_client.protocol import SAMPLE_RATE, add_tensor
from bark_client.recording import Recording
from bark_client.voice import ARRAYS, FRAME_RATE_HZ, Voice, VoiceInfo, VoiceLike, VoicePreview, resolve

VOICES_MODEL: Final = "voices"
CLONE_MODEL: Final = "clone_voice"
DECODE_MODEL: Final = "encodec_decode"

#: A preview decodes a voice's last half minute; Bark itself never uses more.
PREVIEW_FRAMES: Final = 30 * FRAME_RATE_HZ

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One unary request, and how to read its answer."""

    request: service_pb2.ModelInferRequest
    read: Callable[[InferResult], T]
    repeatable: bool = True  #: sending it twice does no harm

    def parse(self, response: service_pb2.ModelInferResponse) -> T:
        """Read the answer; ServerError if it can't be read."""
        try:
            return self.read(InferResult(response))
        except (AttributeError, TypeError, ValueError, KeyError, IndexError, InvalidRequest) as error:
            model = self.request.model_name
            raise ServerError(f"the server's answer of {model!r} can't be read ({error!r})") from None


Steps: TypeAlias = Generator[Call[Any], Any, T]  #: calls one after the other, and a result


def list_voices(*, language: str | None = None) -> Call[list[VoiceInfo]]:
    """All voices in the server's order, or those of one language."""

    def read(result: InferResult) -> list[VoiceInfo]:
        return [voice for voice in _rows(result) if language in (None, voice.language)]

    return Call(_command("list"), read)


def get(name: str) -> Call[tuple[VoiceInfo, Voice]]:
    """A voice, and what the server knows about it."""
    return Call(_command("get", name=name), lambda result: (_rows(result)[0], _voice(result)))


def check(name: str, *, overwrite: bool) -> Call[None]:
    """Raise now if a voice could not be kept under this name."""
    request = _command("check", name=name)
    add_tensor(request, "overwrite", "BOOL", [overwrite])
    return Call(request, lambda result: None)


def put(name: str, voice: Voice, *, overwrite: bool) -> Call[VoiceInfo]:
    """Keep a voice under a name. It may be sent twice: the server takes the same voice under the same name again."""
    request = _command("put", name=name)
    add_tensor(request, "overwrite", "BOOL", [overwrite])
    for array in ARRAYS:
        add_tensor(request, array, "INT32", getattr(voice, array))
    return Call(request, lambda result: _rows(result)[0])


def delete(name: str) -> Call[None]:
    """Forget a voice."""
    return Call(_command("delete", name=name), lambda result: None, repeatable=False)


def rename(name: str, new_name: str) -> Call[VoiceInfo]:
    """Give a voice another name."""
    request = _command("rename", name=name)
    add_tensor(request, "new_name", "BYTES", [_name(new_name)])
    return Call(request, lambda result: _rows(result)[0], repeatable=False)


def clone(recording: Recording) -> Call[Voice]:
    """Make a voice from a clip."""
    request = service_pb2.ModelInferRequest(model_name=CLONE_MODEL)
    add_tensor(request, "audio", "FP32", recording.samples)
    add_tensor(request, "sample_rate", "INT32", [recording.sample_rate])

    def read(result: InferResult) -> Voice:
        report = json.loads(result.as_numpy("report").item())
        return _voice(result, warnings=(*recording.warnings, *map(str, report["warnings"])))

    return Call(request, read)


def decode(voice: Voice) -> Call[NDArray[np.float32]]:
    """The audio of the last `PREVIEW_FRAMES` of a voice's frames, [n] at `SAMPLE_RATE`."""
    request = service_pb2.ModelInferRequest(model_name=DECODE_MODEL)
    add_tensor(request, "codes", "INT32", voice.fine_prompt[None, :, -PREVIEW_FRAMES:])  # a batch of one
    request.outputs.add(name="audio")  # the other one, a state to go on from, needs a state to begin with
    return Call(request, lambda result: np.asarray(result.as_numpy("audio"), dtype=np.float32).reshape(-1))


def cloning(recording: Recording, *, name: str | None, overwrite: bool) -> Steps[Voice]:
    """Make a voice from a clip, and keep it if it gets a name."""
    if name is not None:
        yield check(name, overwrite=overwrite)  # before the work, not after it
    voice: Voice = yield clone(recording)
    if name is not None:
        yield put(name, voice, overwrite=overwrite)
    return voice


def saving(name: str, voice: VoiceLike, *, overwrite: bool) -> Steps[VoiceInfo]:
    """Keep a voice, in any form, under a name. A voice of the server is copied."""
    _, arrays, _ = yield from _fetch(voice)
    info: VoiceInfo = yield put(name, arrays, overwrite=overwrite)
    return info


def previewing(voice: VoiceLike) -> Steps[VoicePreview]:
    """What a voice, in any form, sounds like."""
    name, arrays, language = yield from _fetch(voice)
    samples: NDArray[np.float32] = yield decode(arrays)
    return VoicePreview(name, samples, SAMPLE_RATE, arrays, language)


def _fetch(voice: VoiceLike) -> Steps[tuple[str, Voice, str]]:
    """A voice's name, its arrays, and its language."""
    found = resolve(voice)
    if isinstance(found, str):
        info, arrays = yield get(found)
        return info.name, arrays, info.language_name
    return (Path(voice).name if isinstance(voice, str | os.PathLike) else "a voice"), found, ""


def _command(command: str, *, name: str | None = None) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=VOICES_MODEL)
    add_tensor(request, "command", "BYTES", [command])
    if name is not None:
        add_tensor(request, "name", "BYTES", [_name(name)])
    return request


def _name(name: str) -> str:
    """`name`, if it is a text; the server checks its form."""
    if not isinstance(name, str):
        raise InvalidRequest(f"name: expected str, not {type(name).__name__}")
    if not name.strip():
        raise InvalidRequest("name: empty; names look like me, joe or v2/en_speaker_6")
    return name


def _rows(result: InferResult) -> list[VoiceInfo]:
    return [_info(json.loads(row)) for row in result.as_numpy("voices")]


def _info(row: dict[str, Any]) -> VoiceInfo:
    return VoiceInfo(
        name=row["name"],
        language=row["language"],
        semantic_tokens=int(row["semantic_tokens"]),
        frames=int(row["frames"]),
        seconds=float(row["seconds"]),
        hash=row["hash"],
        stored=bool(row["stored"]),
        created=None if row["created"] is None else datetime.fromisoformat(row["created"]),
    )


def _voice(result: InferResult, *, warnings: tuple[str, ...] = ()) -> Voice:
    semantic, coarse, fine = (result.as_numpy(name) for name in ARRAYS)
    return Voice(semantic, coarse, fine, warnings)
