"""Builds a server's missing engines before it starts, by running `bark-build engines`.

It is a process of its own, because the building side needs torch and may not be installed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from bark_serving.engines import builders
from bark_serving.errors import install_remedy
from bark_serving.host import gpus
from bark_serving.profiles import TABLE
from bark_serving.server.errors import RepositoryError
from bark_serving.server.render_settings import RenderSettings


def arguments(settings: RenderSettings) -> Sequence[str]:
    """The arguments of `bark-build` that build every engine the settings need and that is not there yet."""
    options = ["--profile", settings.profile, "--bundle", str(settings.bundle), "--engines", str(settings.engines)]
    if settings.precision:
        options += ["--precision", settings.precision]
    # not for the GPUs that do not serve: they may be of a kind that cannot be built for here
    architecture = settings.architecture or ",".join(gpus.architectures(settings.used_gpus))
    if architecture and TABLE[settings.profile].gpu == "always":
        options += ["--gpu", architecture]
    return ["engines", *options]


def program() -> Sequence[str]:
    """The command `bark-build`. Raises `RepositoryError` when it is not here, or lacks what building needs."""
    if found := builders.program():
        return found
    raise RepositoryError(
        "Nothing can be built here: bark-build is not installed, or lacks what it needs.",
        remedy=f"{install_remedy('build')} Or build on a machine that has it, and copy the folder of engines here.",
    )


def build_missing(settings: RenderSettings) -> None:
    """Run that command with its plan and progress on this terminal. Does nothing for a profile without engines.

    Raises `RepositoryError` when the builder is not installed, or could not build everything.
    """
    if TABLE[settings.profile].build is None:
        return
    status = subprocess.run([*program(), *arguments(settings)], check=False).returncode
    if status:
        raise RepositoryError(
            f"Not every engine could be built (status {status}).",
            remedy="Its messages are above. The engines that were built are kept.",
        )
