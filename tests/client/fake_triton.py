"""A gRPC server in this process that stands in for Triton and the models that clients call. It can fail on demand."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import socketserver
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor, triton_to_np_dtype

from tests.client.fake_voices import FakeVoices, Refused

SAMPLE_RATE = 24_000
CHUNK = 2_400  # samples

Answers = Iterator[service_pb2.ModelStreamInferResponse]
Behaviour = Callable[["FakeTriton", dict[str, Any], grpc.ServicerContext], Answers]


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Each stream takes the next behaviour of `plan`; when it is empty they `speak`."""

    def __init__(self, port: int = 0, *, host: str = "127.0.0.1", at_once: int = 16) -> None:
        self.plan: deque[Behaviour] = deque()
        self.requests: list[dict[str, Any]] = []  # inputs of each stream, in order
        self.request_ids: list[str] = []
        self.traceparents: list[str] = []
        self.metadata: list[dict[str, str]] = []
        self.cancelled = threading.Semaphore(0)  # released when a stream ends before its behaviour does
        self.release = threading.Event()  # lets hanging behaviours go
        self.ready = True
        self.frozen = threading.Event()  #: questions about the server are then not answered before `release`
        self.pieces, self.speaks_for_others = 7, 0  # pieces of audio made, and how many more at each look
        self.voices = FakeVoices()
        self.hang_unary = threading.Event()  # unary requests then wait for `release`
        self.unary_calls = 0
        self.unary_plan: deque[grpc.StatusCode] = deque()  # failures of the next unary requests
        self._server = grpc.server(ThreadPoolExecutor(at_once))
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"{host}:{port}")
        self._server.start()

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        self.release.set()
        self._server.stop(0).wait()

    def ServerMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        return service_pb2.ServerMetadataResponse(name="triton", version="2.51.0")

    def ServerLive(self, request: Any, context: Any) -> Any:  # noqa: N802
        if self.frozen.is_set():
            self.release.wait()
        return service_pb2.ServerLiveResponse(live=True)

    def ServerReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        return service_pb2.ServerReadyResponse(ready=self.ready)

    def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        if self.frozen.is_set():
            self.release.wait()
        return service_pb2.ModelReadyResponse(ready=self.ready and request.name == "bark")

    def ModelStatistics(self, request: Any, context: Any) -> Any:  # noqa: N802
        assert request.name == "encodec_decode"
        self.pieces += self.speaks_for_others
        count = service_pb2.ModelStatistics(name=request.name, inference_count=self.pieces)
        return service_pb2.ModelStatisticsResponse(model_stats=[count])

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.unary_calls += 1
        if self.hang_unary.is_set():
            self.release.wait()
        if self.unary_plan:
            context.abort(self.unary_plan.popleft(), "as planned")
        response = service_pb2.ModelInferResponse(model_name=request.model_name)
        try:
            outputs = self.voices.answer(request.model_name, inputs_of(request))
        except Refused as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"[INVALID_ARGUMENT] {error}")
        for name, array in outputs.items():
            add_output(response, name, array)
        return response

    def ModelStreamInfer(self, requests: Any, context: Any) -> Answers:  # noqa: N802
        request = next(requests)
        assert request.model_name == "bark"
        assert request.parameters["triton_enable_empty_final_response"].bool_param
        self.metadata.append(dict(context.invocation_metadata()))
        assert "triton_grpc_error" not in self.metadata[-1], "our clients do not send this header"
        inputs = inputs_of(request)
        self.requests.append(inputs)
        self.request_ids.append(request.id)
        self.traceparents.append(request.parameters["traceparent"].string_param)
        behaviour = self.plan.popleft() if self.plan else speak
        done = threading.Event()
        if not context.add_callback(lambda: None if done.is_set() else self.cancelled.release()):
            self.cancelled.release()
        yield from behaviour(self, inputs, context)
        done.set()


def inputs_of(request: service_pb2.ModelInferRequest) -> dict[str, Any]:
    """Tensors by name; one-element ones as scalars, with the shape and type that Triton would check."""
    found: dict[str, Any] = {}
    for tensor, data in zip(request.inputs, request.raw_input_contents, strict=True):
        if tensor.datatype == "BYTES":
            array = deserialize_bytes_tensor(data)
        else:
            array = np.frombuffer(data, dtype=triton_to_np_dtype(tensor.datatype))
        array = array.reshape(tuple(tensor.shape))
        found[tensor.name] = array[0] if array.shape == (1,) else array
    return found


def add_output(response: service_pb2.ModelInferResponse, name: str, array: np.ndarray) -> None:
    kinds = {"f": "FP32", "i": "INT32", "O": "BYTES"}
    response.outputs.add(name=name, datatype=kinds[array.dtype.kind], shape=array.shape)
    is_bytes = array.dtype.kind == "O"
    strings = serialize_byte_tensor(array).item() if is_bytes and array.size else b""
    response.raw_output_contents.append(strings if is_bytes else array.tobytes())


def chunk(sentence: int, sentences: int, **more: Any) -> service_pb2.ModelStreamInferResponse:
    """An answer with audio: a tone whose loudness tells the sentence."""
    tone = np.sin(np.arange(CHUNK) * 2 * np.pi * 220 / SAMPLE_RATE) * (sentence + 1) / (sentences + 1)
    message = service_pb2.ModelStreamInferResponse()
    message.infer_response.parameters["triton_final_response"].bool_param = False
    report = {"sentence": sentence, "sentences": sentences, "last": False, **more.pop("report", {})}
    add_output(message.infer_response, "audio", tone.astype(np.float32))
    add_output(message.infer_response, "report", np.array([json.dumps(report).encode()], dtype=np.object_))
    for name, array in more.items():
        add_output(message.infer_response, name, array)
    return message


def last_chunk(inputs: dict[str, Any], sentence: int, sentences: int) -> service_pb2.ModelStreamInferResponse:
    report = {
        "last": True,
        "sample_rate": SAMPLE_RATE,
        "seed": int(inputs.get("seed", 4711)),
        "text": inputs["text"].decode(),
        "stages": {
            "semantic": {"seconds": 1.5, "calls": 2, "tokens": 300},
            "coarse": {"seconds": 4.0, "calls": 15, "tokens": 900},
            "fine": {"seconds": 0.5, "calls": 2, "frames": 450},
            "encodec_decode": {"seconds": 0.25, "calls": 3, "frames": 450},
        },
        "seconds": 6.0,
        "first_audio_seconds": 2.5,
        "audio_seconds": sentences * CHUNK / SAMPLE_RATE,
        "warnings": ["sentence 1 was cut at 14 s [max_duration]"] if "max_duration" in inputs else [],
    }
    tokens = {}
    if inputs.get("return_tokens"):
        tokens = {
            "semantic_tokens": np.arange(9, dtype=np.int32),
            "coarse_tokens": np.full((2, 13), 7, dtype=np.int32),
            "fine_tokens": np.full((8, 13), 7, dtype=np.int32),
        }
    return chunk(sentence, sentences, report=report, **tokens)


def final() -> service_pb2.ModelStreamInferResponse:
    message = service_pb2.ModelStreamInferResponse()
    message.infer_response.parameters["triton_final_response"].bool_param = True
    return message


def started() -> Iterator[FakeTriton]:
    """For fixtures: one that runs as long as theirs do."""
    server = FakeTriton()
    yield server
    server.close()


def speak(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
    """Speaks without a fault: one chunk for each full stop, then the end."""
    sentences = max(1, inputs["text"].decode().count("."))
    for sentence in range(sentences - 1):
        yield chunk(sentence, sentences)
    yield last_chunk(inputs, sentences - 1, sentences)
    yield final()


def speak_in_pieces(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
    """Two sentences of two chunks each."""
    for sentence in (0, 0, 1):
        yield chunk(sentence, 2)
    yield last_chunk(inputs, 1, 2)
    yield final()


def say_nothing(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
    """What the server answers when the semantic stage ends at once: no audio, no tokens, a warning."""
    message = service_pb2.ModelStreamInferResponse()
    report = {
        "sentence": 0, "sentences": 1, "last": True, "sample_rate": SAMPLE_RATE, "seed": 1, "text": "", "stages": {},
        "seconds": 0.5, "first_audio_seconds": None, "audio_seconds": 0.0, "warnings": ["it ended before it began"],
    }  # fmt: skip
    add_output(message.infer_response, "audio", np.zeros(0, dtype=np.float32))
    add_output(message.infer_response, "report", np.array([json.dumps(report).encode()], dtype=np.object_))
    for name, shape in (("semantic_tokens", (0,)), ("coarse_tokens", (2, 0)), ("fine_tokens", (8, 0))):
        add_output(message.infer_response, name, np.zeros(shape, dtype=np.int32))
    yield message
    yield final()


def say_error(text: str, *, after_chunks: int = 0, linger: float = 0) -> Behaviour:
    """Reports an error on the stream, as Triton does: as text, followed by the end, `linger` seconds later."""

    def behave(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
        for sentence in range(after_chunks):
            yield chunk(sentence, after_chunks + 1)
        yield service_pb2.ModelStreamInferResponse(error_message=text)
        _linger(linger, server, context)
        yield final()

    return behave


def linger_after_final(seconds: float) -> Behaviour:
    """Speaks without a fault, but the stream ends `seconds` after its last message."""

    def behave(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
        yield from speak(server, inputs, context)
        _linger(seconds, server, context)

    return behave


def _linger(seconds: float, server: FakeTriton, context: Any) -> None:
    gone, deadline = threading.Event(), time.monotonic() + seconds
    context.add_callback(gone.set)
    while time.monotonic() < deadline and not (gone.is_set() or server.release.is_set()):
        gone.wait(0.02)


def abort(code: grpc.StatusCode, *, after_chunks: int = 0) -> Behaviour:
    """The call itself ends with a status."""

    def behave(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
        for sentence in range(after_chunks):
            yield chunk(sentence, after_chunks + 1)
        context.abort(code, "as planned")

    return behave


def hang(*, after_chunks: int = 0) -> Behaviour:
    """Goes silent, as a stream of a dead stub process does."""

    def behave(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
        for sentence in range(after_chunks):
            yield chunk(sentence, after_chunks + 1)
        gone = threading.Event()
        context.add_callback(gone.set)
        while not (gone.is_set() or server.release.is_set()):
            gone.wait(0.05)
        if server.release.is_set() and not gone.is_set():
            yield final()

    return behave


def beat(*, after_chunks: int = 0, times: int = 1_000_000) -> Behaviour:
    """Sends heartbeats and no more audio; after so many, it goes silent."""

    def behave(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
        for sentence in range(after_chunks):
            yield chunk(sentence, after_chunks + 1)
        gone = threading.Event()
        context.add_callback(gone.set)
        for _ in range(times):
            if gone.is_set() or server.release.is_set():
                return
            message = service_pb2.ModelStreamInferResponse()
            message.infer_response.parameters["triton_final_response"].bool_param = False
            yield message
            gone.wait(0.05)
        yield from hang()(server, inputs, context)

    return behave


def end_early(*, after_chunks: int = 0, with_final: bool = True) -> Behaviour:
    """Ends without the last chunk."""

    def behave(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
        for sentence in range(after_chunks):
            yield chunk(sentence, after_chunks + 1)
        if with_final:
            yield final()

    return behave


def speak_without_final(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
    """All the audio, then the connection breaks where Triton's closing message should be."""
    yield last_chunk(inputs, 0, 1)
    context.abort(grpc.StatusCode.UNAVAILABLE, "as planned")


def hang_before_final(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
    """All the audio, then silence where Triton's closing message should be."""
    yield last_chunk(inputs, 0, 1)
    yield from hang()(server, inputs, context)


def garble(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
    """An answer that breaks the contract."""
    message = service_pb2.ModelStreamInferResponse()
    add_output(message.infer_response, "audio", np.zeros(4, dtype=np.float32))
    add_output(message.infer_response, "report", np.array([b"{not json"], dtype=np.object_))
    yield message
    yield final()


class Cable:
    """A TCP connection to a server that can be cut, as a killed server does, or that can fall silent."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self._silent = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Close everything at once, and for good."""
        self._listener.close()
        while not self._sockets.empty():
            _shut(self._sockets.get())

    def silence(self) -> None:
        """Lose what is sent from now on, as a pulled plug or a broken network does: nobody is told."""
        self._silent.set()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # cut
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except ConnectionRefusedError:  # the server has ended
                near.close()
                continue
            for end in (near, far):
                self._sockets.put(end)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink, self._silent), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, silent: threading.Event) -> None:
    with contextlib.suppress(OSError):  # cut
        while data := source.recv(65536):
            if not silent.is_set():
                sink.sendall(data)
    _shut(source)
    _shut(sink)


def _shut(end: socket.socket) -> None:
    """End a connection at once. Closing wouldn't, as long as another thread waits on it."""
    with contextlib.suppress(OSError):  # its other end was first
        end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def port_of_another_kind(answer: bytes = b"") -> Iterator[int]:
    """A port of this machine that gives every connection this answer, whatever it says, and closes it."""

    class Other(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
