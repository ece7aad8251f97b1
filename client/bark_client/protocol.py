"""Arguments to a Triton request, and Triton's answers to our types. Pure: nothing here needs a connection.

The protobuf messages are built and read directly, because tritonclient's streams are not enough: its asyncio client
can't ask for the empty final response, and its threaded client leaks threads.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferResult, service_pb2
from tritonclient.utils import serialize_byte_tensor

from bark_client.errors import InvalidRequest, ServerError, error_from_text
from bark_client.silence import HEARTBEAT
from bark_client.speech import Chunk, StageTime, Timings
from bark_client.trace_context import TRACEPARENT
from bark_client.voice import ARRAYS, Voice, VoiceLike, resolve

MODEL: Final = "bark"
CHECK_ID: Final = "bark-check"  #: request id: the server counts the request as a check, not as speech
DECODER: Final = "encodec_decode"  #: the last stage of every speech
SAMPLE_RATE: Final = 24_000  #: in Hz, of chunks; the report of the last answer confirms it
MAX_SEED: Final = 2**64 - 1
SENTENCE_PAUSE_S: Final = 0.0  #: the server's default
PARAGRAPH_PAUSE_S: Final = 0.3  #: the server's default
EMPTY_TEXT: Final = "text: empty; give at least one word to speak"


class SpeakOptions(TypedDict, total=False):
    """How to speak: see `BarkClient.speak`. An option that is None is not sent; the server's default then applies."""

    language: str | None  #: like "en" or "en-US"; the rules of the language split the text
    markdown: bool | None  #: False reads the signs of Markdown as they stand
    fold_signs: bool | None  #: False keeps signs that the tokenizer lacks
    spell_numbers: bool | None  #: True writes numbers as words first
    speed: Literal["exact", "fast"] | None  #: "fast" approximates what Suno's code computes
    latency: Literal["normal", "low"] | None  #: "low" sends the first audio sooner
    semantic_temperature: float | None  #: 0 is greedy
    coarse_temperature: float | None
    fine_temperature: float | None
    top_k: int | None  #: sample from the k most probable tokens only
    top_p: float | None  #: sample from the smallest set of tokens whose probabilities add up to p
    min_eos_p: float | None  #: end a piece when its end is this probable
    coarse_history: int | None  #: coarse tokens that a window continues from
    coarse_window: int | None  #: coarse tokens that a window generates
    fine_padding: bool | None  #: False doesn't pad short pieces: faster, not exact
    max_duration: float | None  #: seconds of audio per piece
    piece_duration: float | None  #: seconds that the pieces of a long sentence should have
    sentence_pause: float | None  #: seconds of silence between two pieces
    paragraph_pause: float | None  #: seconds of silence before a paragraph
    split_sentences: bool | None  #: False speaks the text in one piece
    chain_sentences: bool | None  #: True continues each piece from the one before it
    one_speaker: bool | None  #: False lets each piece find a speaker of its own, where no voice is given
    retries: int | None  #: how often a piece is spoken again if it fails: 0 to 2
    on_failure: Literal["warn", "error", "skip"] | None  #: what becomes of a piece that failed every time
    return_tokens: bool | None  #: True returns the generated tokens, usable as a voice


_DATATYPES: Final = {str: "BYTES", bool: "BOOL", int: "INT32", float: "FP32"}


def _datatype(hint: Any) -> str:
    """Triton's data type of an option, from its type in `SpeakOptions`."""
    kind = get_args(hint)[0]  # of `float | None`, float
    return _DATATYPES[type(get_args(kind)[0]) if get_origin(kind) is Literal else kind]


def _choices(hint: Any) -> tuple[str, ...]:
    """The words that an option may be; none where its type is no `Literal`."""
    kind = get_args(hint)[0]
    return get_args(kind) if get_origin(kind) is Literal else ()


#: Every option of `SpeakOptions` and the data type of its tensor.
OPTIONS: Final = {name: _datatype(hint) for name, hint in get_type_hints(SpeakOptions).items()}
_CHOICES: Final = {name: _choices(hint) for name, hint in get_type_hints(SpeakOptions).items()}
_MAX_FLOAT: Final = float(np.finfo(np.float32).max)
_DTYPES: Final = {"FP32": np.float32, "INT32": np.int32, "UINT64": np.uint64, "BOOL": np.bool_, "BYTES": np.object_}


@dataclass(frozen=True, eq=False)
class Answer:
    """One message of the stream."""

    chunk: Chunk | None
    report: dict[str, Any]  #: complete on the last chunk only
    tokens: Voice | None
    final: bool  #: Triton sends nothing after this one

    @property
    def heartbeat(self) -> bool:
        """Whether it only says that the server is there."""
        return self.chunk is None and not self.final


def speech_request(
    text: str, *, voice: VoiceLike | None = None, seed: int | None = None, options: SpeakOptions | None = None
) -> service_pb2.ModelInferRequest:
    """A request to speak. InvalidRequest for what no checkpoint would take."""
    if not isinstance(text, str):
        raise InvalidRequest(f"text: expected str, not {type(text).__name__}")
    if not text.strip():
        raise InvalidRequest(EMPTY_TEXT)
    request = service_pb2.ModelInferRequest(model_name=MODEL)
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    request.parameters[HEARTBEAT].bool_param = True
    if traceparent := TRACEPARENT.get():
        request.parameters["traceparent"].string_param = traceparent
    add_tensor(request, "text", "BYTES", [text])
    add_tensor(request, "stream", "BOOL", [True])
    if voice is not None:
        _add_voice(request, resolve(voice))
    if seed is not None:
        add_tensor(request, "seed", "UINT64", [_seed(seed)])
    for name, value in (options or {}).items():
        if name not in OPTIONS:
            raise InvalidRequest(_unknown_option(name))
        if value is not None:
            datatype = OPTIONS[name]
            add_tensor(request, name, datatype, [_checked(name, datatype, value)])
    return request


def decoder_statistics() -> service_pb2.ModelStatisticsRequest:
    """A request for the statistics of the last stage."""
    return service_pb2.ModelStatisticsRequest(name=DECODER)


def inference_count(answer: service_pb2.ModelStatisticsResponse) -> int:
    """How many inferences a model has run."""
    return sum(int(model.inference_count) for model in answer.model_stats)


def add_tensor(request: service_pb2.ModelInferRequest, name: str, datatype: str, value: Any) -> None:
    """Add a tensor: `value` is an array, or a list of scalars. InvalidRequest for text that is not Unicode."""
    if datatype == "BYTES":
        try:
            array: NDArray[Any] = np.array([item.encode() for item in value], dtype=np.object_)
        except UnicodeEncodeError:
            raise InvalidRequest(f"{name}: not valid Unicode; was it read in its own encoding?") from None
        data = serialize_byte_tensor(array).item()
    else:
        array = np.ascontiguousarray(value, dtype=_DTYPES[datatype])
        data = array.tobytes()
    request.inputs.add(name=name, datatype=datatype, shape=array.shape)
    request.raw_input_contents.append(data)


def parse_answer(message: service_pb2.ModelStreamInferResponse, *, url: str) -> Answer:
    """Read one message of a stream of speech; raises the error that it carries."""
    if message.error_message:
        raise error_from_text(message.error_message, url=url)
    response = message.infer_response
    final = response.parameters["triton_final_response"].bool_param
    if not response.outputs:
        return Answer(chunk=None, report={}, tokens=None, final=final)
    result = InferResult(response)
    try:
        samples = np.asarray(result.as_numpy("audio"), dtype=np.float32).reshape(-1)
        samples.setflags(write=False)
        report = json.loads(result.as_numpy("report").item())
        chunk = Chunk(
            samples=samples,
            sample_rate=int(report.get("sample_rate", SAMPLE_RATE)),
            sentence=int(report["sentence"]),
            sentences=int(report["sentences"]),
            last=bool(report["last"]),
            text=report.get("piece"),
        )
        arrays = {name: result.as_numpy(name.replace("_prompt", "_tokens")) for name in ARRAYS}
        spoken = all(array is not None and array.size for array in arrays.values())
        tokens = Voice.from_arrays(arrays) if spoken else None
    except (AttributeError, TypeError, ValueError, KeyError, InvalidRequest) as error:
        raise ServerError(f"the server at {url} sent an answer that can't be read ({error!r})") from None
    return Answer(chunk=chunk, report=report, tokens=tokens, final=final)


def parse_timings(report: dict[str, Any]) -> Timings:
    """The timings in the report of the last chunk."""
    stages = {}
    for name, stage in report.get("stages", {}).items():
        unit = "frames" if "frames" in stage else "tokens"
        stages[name] = StageTime(float(stage["seconds"]), int(stage["calls"]), int(stage.get(unit, 0)), unit)
    first_audio = report.get("first_audio_seconds")
    return Timings(
        stages=stages,
        seconds=float(report.get("seconds", 0.0)),
        first_audio_seconds=None if first_audio is None else float(first_audio),
        audio_seconds=float(report.get("audio_seconds", 0.0)),
    )


def _add_voice(request: service_pb2.ModelInferRequest, voice: str | Voice) -> None:
    if isinstance(voice, str):
        add_tensor(request, "voice", "BYTES", [voice])
        return
    for name in ARRAYS:
        add_tensor(request, name, "INT32", getattr(voice, name))


def _seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise InvalidRequest(f"seed: expected an integer, not {type(seed).__name__}")
    if not 0 <= seed <= MAX_SEED:
        raise InvalidRequest(f"seed: {seed} is outside 0..{MAX_SEED}")
    return int(seed)


def _checked(name: str, datatype: str, value: Any) -> Any:
    """`value`, if it has the option's type; the server checks its limits."""
    boolean = isinstance(value, bool | np.bool_)
    if datatype == "BYTES" and not isinstance(value, str):
        raise InvalidRequest(f"{name}: expected str, not {value!r}")
    if _CHOICES[name] and value not in _CHOICES[name]:
        raise InvalidRequest(f"{name}: expected {' or '.join(map(repr, _CHOICES[name]))}, not {value!r}")
    if datatype == "BOOL" and not boolean:
        raise InvalidRequest(f"{name}: expected True or False, not {value!r}")
    if datatype == "INT32":
        if boolean or not isinstance(value, int | np.integer):
            raise InvalidRequest(f"{name}: expected an integer, not {value!r}")
        if not -(2**31) <= value < 2**31:
            raise InvalidRequest(f"{name}: {value} is outside -2147483648..2147483647")
    if datatype == "FP32":
        if boolean or not isinstance(value, int | float | np.number) or value != value:  # NaN is not itself
            raise InvalidRequest(f"{name}: expected a finite number, not {value!r}")
        if not -_MAX_FLOAT <= value <= _MAX_FLOAT:
            raise InvalidRequest(f"{name}: expected a number from {-_MAX_FLOAT:.3g} to {_MAX_FLOAT:.3g}")
    return value


def _unknown_option(name: str) -> str:
    close = difflib.get_close_matches(name, OPTIONS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the options are {', '.join(OPTIONS)}"
    return f"{name}: no such option; {hint}"
