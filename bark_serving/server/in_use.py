"""The engines that running servers have loaded, and load again when a model's process dies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bark_serving.engines.manifest import MANIFEST_FILE
from bark_serving.server import state
from bark_serving.server.repository import read_rendered


def engines_in_use(folder: Path) -> Mapping[Path, str]:
    """Folders of engines, without links in their paths, and the name of a server that uses each.

    folder: of server state; so these are the servers of one user on this machine. A repository that an older version
    rendered does not say what it uses.
    """
    used: dict[Path, str] = {}
    for server in state.running_servers(folder):
        rendered = read_rendered(server.settings.repository)
        for file in rendered.files if rendered else ():
            engine = file.path.parent.resolve()
            if (engine / MANIFEST_FILE).is_file():  # else it is a bundle's file
                used[engine] = server.settings.name
    return used
