"""What happens before a server starts: checks, missing engines, the model repository."""

from __future__ import annotations

from bark_serving.profiles import TABLE
from bark_serving.server import gateway, state
from bark_serving.server.binary import check_backends, find
from bark_serving.server.build import build_missing
from bark_serving.server.gpu_check import PLAN_PROFILES, check_gpus
from bark_serving.server.render_settings import RenderSettings, check_installed
from bark_serving.server.repository import render, uses_gpu
from bark_serving.server.settings import ServerSettings


def prepare(server: ServerSettings, rendering: RenderSettings | None, *, build: bool = False) -> ServerSettings:
    """Check that a server may start, build and render what it lacks, and return its settings with `gpu` decided.

    rendering: what ``server.repository`` is rendered from; None: it is rendered already.
    build: build the missing engines first, with the plan and its progress on the terminal.
    Raises `UserError`. Everything that can be checked is checked before anything is written.
    """
    if server.gateway:
        gateway.check_installed()
        gateway.check_address(server)
        gateway.check_settings(server)
    if rendering is None:
        state.check_free(server)
        return server.model_copy(update={"gpu": uses_gpu(server.repository)})
    if rendering.profile in PLAN_PROFILES:  # before anybody installs gigabytes for a GPU that is not there
        check_gpus(rendering.profile, rendering.used_gpus, architecture=rendering.architecture)
    check_installed(rendering.profile)
    server = server.model_copy(update={"gpu": bool(rendering.used_gpus)})
    state.check_free(server)
    if build:
        check_backends(find(server), {row.backend for row in TABLE[rendering.profile].stages.values()})
        build_missing(rendering)
        state.check_free(server)  # building takes minutes
    render(rendering, output=server.repository)
    return server
