"""A model repository of toys: a `bark` that beeps and an `echo`, for tests of the server rather than of its models."""

from __future__ import annotations

import socket
from pathlib import Path

from bark_serving.server import ServerSettings

_BARK_CONFIG = """
name: "bark"
backend: "python"
max_batch_size: 0
model_transaction_policy { decoupled: true }
input [
  { name: "text" data_type: TYPE_STRING dims: [1] },
  { name: "max_duration" data_type: TYPE_FP32 dims: [1] optional: true },
  { name: "seed" data_type: TYPE_UINT64 dims: [1] optional: true },
  { name: "speed" data_type: TYPE_STRING dims: [1] optional: true },
  { name: "stream" data_type: TYPE_BOOL dims: [1] optional: true }
]
output [{ name: "audio" data_type: TYPE_FP32 dims: [-1] }]
instance_group [{ kind: KIND_CPU count: 1 }]
"""

_BARK_MODEL = """
import threading

import numpy as np
import triton_python_backend_utils as pb


class TritonPythonModel:
    def initialize(self, arguments):
        if {unloadable!r}:
            raise RuntimeError({unloadable!r})
        self.family = pb.MetricFamily("bark_requests_running", "That run now.", pb.MetricFamily.GAUGE)
        self.running = self.family.Metric(labels={{"check": "false"}})

    def execute(self, requests):
        for request in requests:
            self.running.increment(1)
            threading.Thread(target=self.answer, args=(request, request.get_response_sender())).start()

    def answer(self, request, sender):
        text = pb.get_input_tensor_by_name(request, "text").as_numpy()[0].decode()
        left = dict([("Speak for ever.", 1_000_000), ("Speak for eight seconds.", 160)]).get(text)
        if left:
            while left and not sender.is_cancelled():
                left -= 1
                sender.send(pb.InferenceResponse([pb.Tensor("audio", np.zeros(240, np.float32))]))
                threading.Event().wait(0.05)
        elif {error!r}:
            sender.send(pb.InferenceResponse(error=pb.TritonError({error!r})))
        elif not {silent!r}:
            sender.send(pb.InferenceResponse([pb.Tensor("audio", np.zeros(4800, np.float32))]))
        self.running.increment(-1)
        sender.send(flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

_ECHO_CONFIG = """
name: "echo"
backend: "python"
max_batch_size: 0
input [{ name: "value" data_type: TYPE_INT32 dims: [1] }]
output [{ name: "value" data_type: TYPE_INT32 dims: [1] }]
instance_group [{ kind: KIND_CPU count: 1 }]
"""

_ECHO_MODEL = """
import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        values = [pb.get_input_tensor_by_name(request, "value").as_numpy() for request in requests]
        return [pb.InferenceResponse([pb.Tensor("value", value)]) for value in values]
"""


def write_repository(folder: Path, *, error: str = "", unloadable: str = "", silent: bool = False) -> Path:
    """Write the toys under `folder`. `error`: what `bark` answers; `unloadable`: what its loading raises."""
    bark = _BARK_MODEL.format(error=error, unloadable=unloadable, silent=silent)
    for name, config, model in (("bark", _BARK_CONFIG, bark), ("echo", _ECHO_CONFIG, _ECHO_MODEL)):
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(config)
        (folder / name / "1/model.py").write_text(model)
    return folder


def free_ports() -> dict[str, int]:
    """Three ports that nobody listens on, as settings of a server."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return dict(zip(("http_port", "grpc_port", "metrics_port"), ports, strict=True))


def settings(folder: Path, *, name: str = "toy", **repository: object) -> ServerSettings:
    """Settings of a toy server whose files are all under `folder`."""
    return ServerSettings(
        name=name,
        repository=write_repository(folder / "repository", **repository),  # type: ignore[arg-type]
        folder=folder / "server",
        start_timeout=60,
        **free_ports(),
    )
