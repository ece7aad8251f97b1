"""What tests of refused checkpoints share."""

from __future__ import annotations

from pathlib import Path

import pytest

from build_engines.checkpoints.importer import Request, import_bundle
from build_engines.errors import BuildError


def refused(folder: Path, match: str) -> None:
    """Importing `folder` fails with a message that matches, and leaves nothing behind."""
    out = folder.parent / "out" / "bundle"
    with pytest.raises(BuildError, match=match):
        import_bundle(Request(str(folder)), out)
    assert list(out.parent.iterdir()) == []
