"""The images, built from their Dockerfiles, and the compose file's life: podman, and Docker's own compose client."""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.profiles import TABLE
from tests.docker import podman as podman_module
from tests.docker.commands import DOCKER, ROOT
from tests.docker.podman import Failed, Podman
from tests.system.commands import until
from tests.system.conftest import ENGINES, build_engines_of

pytestmark = pytest.mark.timeout(1200)  # images are built in fixtures, which count

SERVER, GATEWAY = "bark-server-cpu-1", "bark-gateway-1"
SERVICES = {SERVER: "server-cpu", GATEWAY: "gateway"}
HEALTHY_S = 120
TERMINATED = 128 + signal.SIGTERM  #: how uvicorn ends, after its requests have
MAX_SERVER_MB = 580
MAX_BUILDER_MB = 1250
MAX_GATEWAY_MB = 500
#: What a process in the server's container may do, as the kernel sees it.
CONFINED = {"Uid": "1000", "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
TRITON = """
import psutil
for one in psutil.process_iter(["name", "status"]):
    if one.info["name"] == "tritonserver" and one.info["status"] != psutil.STATUS_ZOMBIE:
        {then}print(one.pid)
"""
OPENAI = """
import openai
client = openai.OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="none")
said = client.audio.speech.create(model="bark", voice="mine", input="Hello there.", response_format="wav")
print(said.content[:4].decode(), len(said.content))
"""


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    reason = ""
    if os.geteuid() != 0 or platform.machine() != "x86_64":
        reason = "this takes root on x86-64"
    elif absent := podman_module.missing():
        reason = f"there is no {', no '.join(absent)} (docs/deployment.md says what to install)"
    if not reason:
        try:
            with podman_module.started(ROOT / "build/containers") as started:
                podman_module.import_stand_ins(started)
                yield started
            return
        except podman_module.Unusable as error:
            reason = str(error)
    pytest.skip(f"NOT TESTED: the images, because {reason}")


def build(podman: Podman, image: str) -> str:
    tag = f"bark-triton-{image}:0.1.0"
    arguments = {"TORCH_INDEX": ""} if image == "builder" else {}  # torch's own index may be out of reach
    podman.build(DOCKER / f"Dockerfile.{image}", tag=tag, context=ROOT, **arguments)
    return tag


@pytest.fixture(scope="module")
def server_image(podman: Podman) -> str:
    return build(podman, "cpu")


@pytest.fixture(scope="module")
def gateway_image(podman: Podman) -> str:
    return build(podman, "gateway")


Compose = Callable[..., str]


@pytest.fixture(scope="module")
def composed(podman: Podman, compose: list[str]) -> Iterator[Compose]:
    """Runs docker compose with the profile cpu, on podman's API."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BARK_")}
    command = [*compose, "--profile=cpu"]

    def call(*words: str, **variables: str) -> str:
        return podman_module.run(
            [*command, *words], cwd=ROOT, env={**environment, "DOCKER_HOST": podman.socket, **variables}
        )

    with podman.serving():
        yield call
        call("down", "--volumes", "--timeout=0")


def wait_until_healthy(podman: Podman, container: str) -> None:
    """Asks the health check by hand: podman leaves its schedule to systemd."""
    deadline = time.monotonic() + HEALTHY_S
    while True:
        try:
            podman.run("podman", "healthcheck", "run", container)
            return
        except Failed as error:
            if time.monotonic() > deadline:
                logs = podman.run("podman", "logs", "--tail=40", container)
                raise Failed(f"{container} is not healthy: {error}\n{logs}") from None
        time.sleep(0.5)


def start(podman: Podman, composed: Compose, *containers: str) -> None:
    """Containers, with engines that are built already instead of the builder."""
    services = [SERVICES[container] for container in containers]
    composed("up", "--detach", "--no-build", "--no-deps", *services, BARK_ENGINES=str(ENGINES.resolve()))
    for container in containers:
        wait_until_healthy(podman, container)


@pytest.fixture(scope="module")
def running(podman: Podman, composed: Compose, server_image: str) -> Podman:
    """The server runs; no test leaves it stopped."""
    build_engines_of(Bundle(MINIATURE), precision=TABLE["cpu"].precision)
    start(podman, composed, SERVER)
    return podman


def bark(podman: Podman, *words: str | Path) -> str:
    """The client's command on the host, where ports are published."""
    return podman.run(sys.executable, "-m", "bark_client", *words)


def test_the_servers_image_is_built_and_not_too_large(podman: Podman, server_image: str) -> None:
    assert podman.size_mb(server_image) <= MAX_SERVER_MB
    assert podman.inspect("image", server_image)["Config"]["User"] == "1000:1000"
    assert podman.inspect("image", server_image)["Healthcheck"]["Test"] == ["CMD", "bark", "health", "--deep"]


@pytest.mark.slow
def test_the_gateways_image_is_built_and_not_too_large(podman: Podman, gateway_image: str) -> None:
    assert podman.size_mb(gateway_image) <= MAX_GATEWAY_MB


@pytest.mark.slow
def test_the_wheels_of_the_trtllm_image_are_built(podman: Podman) -> None:
    """All that can be built of it: its other stages start from containers of NVIDIA."""
    podman.build(DOCKER / "Dockerfile.trtllm", tag="trtllm-wheels", context=ROOT, stage="package")
    wheels = podman.run("podman", "run", "--rm", "--network=none", "trtllm-wheels", "ls", "/wheels").split()
    assert [wheel.split("-")[0] for wheel in wheels] == ["bark_triton", "bark_triton_client"]


def test_a_container_is_confined(running: Podman) -> None:
    status = running.run("podman", "exec", SERVER, "cat", "/proc/self/status")
    fields = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if len(line.split()) > 1}
    assert CONFINED.items() <= fields.items()
    for folder in ("/", "/opt", "/data/engines", "/data/bundles"):
        with pytest.raises(Failed, match="Read-only file system"):
            running.run("podman", "exec", SERVER, "touch", f"{folder}/x")
    host = running.inspect("container", SERVER)["HostConfig"]
    assert (host["Memory"], host["PidsLimit"], host["ShmSize"]) == (8 << 30, 4096, 1 << 30)


def test_a_killed_server_is_started_again_in_its_container(running: Podman, tmp_path: Path) -> None:
    def triton(then: str = "") -> list[str]:
        """Its process in the container, with what is done to it."""
        return running.run("podman", "exec", SERVER, "python3", "-c", TRITON.format(then=then)).split()

    [before] = triton("one.kill(); ")
    until(lambda: triton() not in ([], [before]))
    wait_until_healthy(running, SERVER)
    bark(running, "say", "Hello again.", "-o", tmp_path / "again.wav")
    assert (tmp_path / "again.wav").stat().st_size > 24_000
    assert running.inspect("container", SERVER)["RestartCount"] == 0, "the container itself went on"


def test_speech_leaves_a_container_and_a_voice_stays_in_its_volume(
    running: Podman, composed: Compose, tmp_path: Path
) -> None:
    clone_own_speech(running, tmp_path / "hello.wav", name="me")
    stopped_in_time(running, composed, {SERVER: 0})
    started_again(running, composed, SERVER)
    assert "me" in bark(running, "voice", "list").split()


@pytest.mark.slow
def test_the_gateway_speaks_with_the_servers_voice_and_both_stop_in_time(
    running: Podman, composed: Compose, gateway_image: str, tmp_path: Path
) -> None:
    start(running, composed, SERVER, GATEWAY)
    clone_own_speech(running, tmp_path / "hello.wav", name="mine")
    kind, size = running.run(sys.executable, "-c", OPENAI).split()
    assert kind == "RIFF" and int(size) > 24_000
    stopped_in_time(running, composed, {SERVER: 0, GATEWAY: TERMINATED})
    started_again(running, composed, SERVER, GATEWAY)
    assert "mine" in bark(running, "voice", "list").split()


def clone_own_speech(podman: Podman, path: Path, *, name: str) -> None:
    """The server speaks into a file, and clones the voice of it."""
    bark(podman, "say", "Hello from a container, and good morning.", "--seed", "3", "-o", path)
    bark(podman, "voice", "clone", path, "--name", name)


def started_again(podman: Podman, composed: Compose, *containers: str) -> None:
    """Other containers of the same services, on the same volumes."""
    composed("down")
    start(podman, composed, *containers)


def stopped_in_time(podman: Podman, composed: Compose, codes: dict[str, int]) -> None:
    """Stop everything: within its grace time, of 30 s, and with these exit codes, so that nothing is killed."""
    began = time.monotonic()
    composed("stop")
    assert time.monotonic() - began < 25
    assert {name: podman.inspect("container", name)["State"]["ExitCode"] for name in codes} == codes


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_builders_image_makes_engines_that_the_server_takes(
    podman: Podman, composed: Compose, server_image: str, gateway_image: str, tmp_path: Path
) -> None:
    image = build(podman, "builder")
    assert podman.size_mb(image) <= MAX_BUILDER_MB
    composed("down", "--volumes")
    composed("up", "--detach", "--no-build")
    wait_until_healthy(podman, SERVER)
    bark(podman, "say", "Hello.", "-o", tmp_path / "hello.wav")
    assert (tmp_path / "hello.wav").stat().st_size > 24_000
