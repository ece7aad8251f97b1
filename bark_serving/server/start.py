"""What happens before a server starts: checks, missing engines, the model repository."""

from __future__ import annotations

from collections.abc import Callable

from bark_serving.bundle import Bundle
from bark_serving.files import why_not_writable
from bark_serving.profiles import TABLE
from bark_serving.server import gateway, state
from bark_serving.server.binary import check_backends, find
from bark_serving.server.build import build_missing
from bark_serving.server.gpu_check import PLAN_PROFILES, check_gpus
from bark_serving.server.render_settings import RenderSettings, check_installed
from bark_serving.server.repository import render, uses_gpu, voice_store_of
from bark_serving.server.settings import ServerSettings


def prepare(
    server: ServerSettings,
    rendering: RenderSettings | None,
    *,
    build: bool = False,
    warn: Callable[[str], None] = lambda message: None,
) -> ServerSettings:
    """Check that a server may start, build and render what it lacks, and return its settings with `gpu` decided.

    rendering: what ``server.repository`` is rendered from; None: it is rendered already.
    build: build the missing engines first, with the plan and its progress on the terminal.
    warn: is told what the server can start without.
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
    _check_voice_store(rendering, warn)
    if build:
        check_backends(find(server), {row.backend for row in TABLE[rendering.profile].stages.values()})
        build_missing(rendering)
        state.check_free(server)  # building takes minutes
    render(rendering, output=server.repository)
    return server


def _check_voice_store(rendering: RenderSettings, warn: Callable[[str], None]) -> None:
    """Warn if clients can keep no voices. The server speaks without, and a folder of voices may be meant to stay."""
    folder = (rendering.voice_store or voice_store_of(Bundle(rendering.bundle))).absolute()
    if why := why_not_writable(folder):
        warn(
            f"Voices can't be cloned, saved or deleted: {why}. The server speaks without. To keep voices, give "
            "--voice-store a folder that it may write to."
        )
