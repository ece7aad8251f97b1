"""A real Triton with every model of the tiny bundle, for a whole session of tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.host.cores import usable_cores
from bark_serving.host.processes import is_running
from bark_serving.profiles import STAGES, TABLE, Precision, Profile, stage_precision
from bark_serving.server import Server, ServerSettings, log, running, state
from bark_serving.server.process import SHARED_MEMORY
from bark_serving.server.render_settings import RenderSettings
from bark_serving.server.repository import render
from reference import suno as oracle
from tests.system.commands import Cli
from tests.system.toy import free_ports

#: Engines outlive the session: their key holds everything that decides them, the exporter's source too.
ENGINES = Path(__file__).parents[2] / "build/test-engines"


@pytest.fixture(scope="session")
def real_servers() -> list[RealServer]:
    """Those that this session started."""
    return []


@pytest.fixture(autouse=True)
def a_running_server(real_servers: list[RealServer]) -> None:
    """Every test begins with servers that run. One that has ended fails it, and says why."""
    for server in real_servers:
        assert is_running(server.server.process), server.server.why_ended()


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    commands = Cli(tmp_path)
    try:
        yield commands
    finally:
        commands.close()
        for path in (log.previous(commands.settings.log_path), commands.settings.log_path):
            if path.exists():  # pytest shows it if the test failed
                print(path.read_text()[-5_000:])


@dataclass(frozen=True)
class RealServer:
    """A running server and what it was made from."""

    server: Server
    bundle: Bundle
    precision: Precision

    @property
    def url(self) -> str:
        """``host:port`` of gRPC."""
        return self.server.url

    @property
    def metrics_url(self) -> str:
        return self.server.metrics_url

    @property
    def settings(self) -> ServerSettings:
        return self.server.settings

    @property
    def log(self) -> Path:
        return self.server.settings.log_path

    @property
    def repository(self) -> Path:
        return self.server.settings.repository


def build_engines_of(bundle: Bundle, *, precision: Precision) -> None:
    """Build what the store does not have yet, for the cpu profile."""
    from build_engines.export.build import make

    for stage in STAGES:
        make(bundle, stage=stage, precision=stage_precision(stage, precision), store=EngineStore(ENGINES))


@contextmanager
def real_server(
    bundle: Bundle,
    folder: Path,
    *,
    precision: Precision,
    profile: Profile = "cpu",
    suno_voices: bool = True,
    **options: int,
) -> Iterator[RealServer]:
    """Render, start, and on leaving assert that nothing of the server is left.

    `suno_voices`: Suno's prompts beside the bundle's own voices, for a bundle whose tokens they are.
    """
    if profile == "cpu":
        build_engines_of(bundle, precision=precision)
    rendering = RenderSettings(
        bundle=bundle.folder,
        engines=ENGINES,
        profile=profile,
        precision=precision,
        gpus=(),
        voices=(oracle.prompts(),) if suno_voices else (),
        voice_store=folder / "voices",
        **{"threads": 1, **options},  # type: ignore[arg-type]
    )
    repository = render(rendering, output=folder / "repository")
    settings = ServerSettings(name="test", repository=repository, folder=folder / "server", **free_ports())  # type: ignore[arg-type]
    with running(settings) as server:
        yield RealServer(server, bundle, precision)
        processes = [server.process, *server.process.children(recursive=True)]
    assert_gone(server, processes)


@pytest.fixture(scope="session")
def miniature_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, real_servers: list[RealServer]
) -> Iterator[RealServer]:
    """A server of the miniature in its default precision. Tests leave no voices in it."""
    with serve_miniature(request, tmp_path_factory, real_servers) as server:
        yield server


@contextmanager
def serve_miniature(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, real_servers: list[RealServer]
) -> Iterator[RealServer]:
    """One more server of the miniature, of which this session's list knows."""
    if request.config.getoption("server_url"):
        pytest.skip("needs a server of its own, of the miniature; --server-url names another")
    precision = TABLE["cpu"].precision
    folder = tmp_path_factory.mktemp("miniature")
    bundle = Bundle(MINIATURE)
    with real_server(bundle, folder, precision=precision, suno_voices=False, threads=usable_cores()) as server:
        real_servers.append(server)
        yield server
        real_servers.remove(server)


def assert_gone(server: Server, processes: list[psutil.Process]) -> None:
    """No process, no shared memory, no state file, and no inference cut off by the stop."""
    assert not [process for process in processes if is_running(process)]
    assert not list(SHARED_MEMORY.glob(f"{server.shm_prefix}*"))
    assert state.read(server.settings.folder, name=server.settings.name) is None
    assert server.settings.log_path.read_text().rstrip().endswith("bark-serve: stopped")


class ServerMaker(Protocol):
    """Starts a server of the tiny bundle, or returns the one that runs."""

    def __call__(self, precision: Precision, *, profile: Profile = "cpu") -> RealServer: ...


@pytest.fixture(scope="session")
def make_server(
    request: pytest.FixtureRequest,
    tiny_bundle: Bundle,
    tmp_path_factory: pytest.TempPathFactory,
    real_servers: list[RealServer],
) -> Iterator[ServerMaker]:
    """Servers of this session, by profile and precision; stopped with it."""
    if request.config.getoption("server_url"):
        pytest.skip("needs a server of its own, with the bundle and the reference at hand; --server-url names another")
    made: dict[tuple[Profile, Precision], RealServer] = {}
    with ExitStack() as stack:

        def make(precision: Precision, *, profile: Profile = "cpu") -> RealServer:
            if (profile, precision) not in made:
                folder = tmp_path_factory.mktemp(f"server-{profile}-{precision}")
                server = stack.enter_context(real_server(tiny_bundle, folder, profile=profile, precision=precision))
                real_servers.append(server)
                made[profile, precision] = server
            return made[profile, precision]

        yield make


@pytest.fixture(scope="session")
def triton(make_server: ServerMaker) -> RealServer:
    """The server in fp32, whose greedy tokens are the oracle's."""
    return make_server("fp32")


@pytest.fixture(scope="session")
def triton_int8(make_server: ServerMaker) -> RealServer:
    """The server as users run it by default."""
    return make_server("int8")


@pytest.fixture(scope="session")
def triton_torch(make_server: ServerMaker) -> RealServer:
    """The torch profile on the CPU, in fp32."""
    return make_server("fp32", profile="torch")


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """``host:port`` of gRPC of the server that ``--server-url`` names, else of one of our own."""
    given: str | None = request.config.getoption("server_url")
    if given:
        return given
    own: RealServer = request.getfixturevalue("triton")
    return own.url
