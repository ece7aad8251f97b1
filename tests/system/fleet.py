"""Several servers on this machine, each in a network of its own that can be cut.

They are real Triton servers with the real model `bark`, whose stages are `tests.fake_stages` and only wait; or, at less
cost, stand-ins for Triton. So servers do not wait for each other's processor time, and what one speaks depends on the
seed alone.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from bark_serving.server import ServerSettings, binary
from bark_serving.server.process import SHARED_MEMORY
from bark_serving.speech.request_inputs import request_inputs

ROOT = Path(__file__).parents[2]
PORT = 8001
STOP_S = 20

_MODEL = """
import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, {root!r})

import bark_serving.triton.bark_model as real
from bark_serving.speech.stage_capabilities import StageCapabilities
from tests.fake_stages import SPEC, Stages, make


def waiting(model, inputs):
    return asyncio.sleep({wait_s}) if model == "semantic" else None


class Parameters:
    def __init__(self, args): pass
    def bundle(self): return SimpleNamespace(spec=SPEC, label="stand-in", weights=lambda stage: "", tokenizer="")
    def text(self, name): return StageCapabilities().model_dump_json()
    def number(self, name): return {max_batch}


def orchestrator(*args, **options):
    stages = Stages()
    stages.before = waiting
    return make(stages, Path({voices!r}), max_batch={max_batch})


real.Parameters, real.Orchestrator = Parameters, orchestrator
real.BlsCaller = real.mapped = real.Vocabulary = real.open_library = lambda *args, **options: None
TritonPythonModel = real.BarkModel
"""

_CONFIG = """
name: "bark"
backend: "python"
max_batch_size: 0
model_transaction_policy {{ decoupled: true }}
input [ {inputs} ]
output [
  {{ name: "audio", data_type: TYPE_FP32, dims: [ -1 ] }},
  {{ name: "report", data_type: TYPE_STRING, dims: [ 1 ] }},
  {{ name: "semantic_tokens", data_type: TYPE_INT32, dims: [ -1 ] }},
  {{ name: "coarse_tokens", data_type: TYPE_INT32, dims: [ -1, -1 ] }},
  {{ name: "fine_tokens", data_type: TYPE_INT32, dims: [ -1, -1 ] }}
]
instance_group [ {{ kind: KIND_CPU, count: 1 }} ]
"""


def write_repository(folder: Path, *, wait_s: float, max_batch: int) -> Path:
    """A repository with the model `bark` alone. A server of it makes 2 × max_batch sentences in `wait_s`."""
    inputs = ", ".join(
        f'{{ name: "{one.name}", data_type: TYPE_{one.data_type}, dims: {list(one.dims)}'
        f"{', optional: true' if one.optional else ''} }}"
        for one in request_inputs()
    )
    (folder / "bark/1").mkdir(parents=True)
    (folder / "bark/config.pbtxt").write_text(_CONFIG.format(inputs=inputs))
    (folder / "bark/1/model.py").write_text(
        _MODEL.format(root=str(ROOT), voices=str(folder.parent), wait_s=wait_s, max_batch=max_batch)
    )
    return folder


@dataclass
class Member:
    """One server, and its network."""

    namespace: str
    host: str  #: its address
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"{self.host}:{PORT}"

    def kill(self) -> None:
        """As the kernel kills a process for which there is no memory."""
        self.process.send_signal(signal.SIGKILL)

    def cut(self) -> None:
        """As a pulled plug: what is sent is lost, and nobody is told."""
        _ip("-n", self.namespace, "link", "set", "inside", "down")


def check_networks() -> None:
    """Skip, aloud, where networks can't be made."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("NOT TESTED: servers in networks of their own, which need root and `ip` (apt-get install iproute2)")
    if subprocess.run(["ip", "netns", "add", "bark-try"], capture_output=True).returncode:
        pytest.skip("NOT TESTED: servers in networks of their own, because this machine allows no namespaces")
    _ip("netns", "delete", "bark-try")


@contextmanager
def fleet(count: int, folder: Path, *, real: bool, wait_s: float, max_batch: int) -> Iterator[list[Member]]:
    """Servers that start; whether they are ready is seen from outside. real: Triton; else stand-ins."""
    repository = write_repository(folder / "repository", wait_s=wait_s, max_batch=max_batch)
    with ExitStack() as stack:
        members = []
        for number in range(count):
            host, prefix = f"10.213.{number}.2", f"bark-fleet-{os.getpid()}-{number}-"
            if real:
                command, environment = _triton(number, repository, folder, host=host, prefix=prefix)
            else:
                words = (host, PORT, wait_s, 2 * max_batch)
                command = [sys.executable, "-m", "tests.system.waiting_server", *map(str, words)]
                paths = (str(ROOT), str(ROOT / "client"), os.environ.get("PYTHONPATH", ""))
                environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
            member = _member(number, command, environment, host=host, log=folder / f"{number}.log", prefix=prefix)
            members.append(stack.enter_context(member))
        yield members


def _triton(
    number: int, repository: Path, folder: Path, *, host: str, prefix: str
) -> tuple[list[str], Mapping[str, str]]:
    """Command line and environment of a Triton server."""
    settings = ServerSettings(
        name=f"fleet-{number}", repository=repository, folder=folder, address=host, stop_timeout=STOP_S
    )
    found = binary.find(settings)
    links = binary.backends(found, folder=folder / f"backends-{number}")
    command = binary.command(found, settings, backends=links, shm_prefix=prefix, control_key="fleet")
    return command, binary.environment(found, repository=repository)


@contextmanager
def _member(
    number: int, command: list[str], environment: Mapping[str, str], *, host: str, log: Path, prefix: str
) -> Iterator[Member]:
    with _network(number, host) as namespace, log.open("wb") as output:
        process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *command],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        try:
            yield Member(namespace, host, process, log)
        finally:
            _end(process)
            for region in SHARED_MEMORY.glob(f"{prefix}*"):
                region.unlink()


@contextmanager
def _network(number: int, host: str) -> Iterator[str]:
    namespace, outside = f"bark-{os.getpid()}-{number}", f"bark{os.getpid() % 10**7}{number}"
    _ip("netns", "add", namespace)
    try:
        _ip("link", "add", outside, "type", "veth", "peer", "name", "inside", "netns", namespace)
        _ip("address", "add", host.rpartition(".")[0] + ".1/30", "dev", outside)
        _ip("link", "set", outside, "up")
        _ip("-n", namespace, "address", "add", f"{host}/30", "dev", "inside")
        _ip("-n", namespace, "link", "set", "inside", "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
        yield namespace
    finally:
        subprocess.run(["ip", "link", "delete", outside], check=False, capture_output=True)  # with both of its ends
        _ip("netns", "delete", namespace)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and its stubs. Those of a killed server end by themselves, or here."""
    group = [one for one in psutil.process_iter() if _group_of(one) == process.pid]
    for one in group:
        one.kill()
    psutil.wait_procs(group, timeout=STOP_S)
    process.wait(STOP_S)


def _group_of(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return 0


def wait_for(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
