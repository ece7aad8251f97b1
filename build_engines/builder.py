"""What the three builders of engines (ONNX Runtime, TensorRT, TensorRT-LLM) share.

Each builder is a module with ``manifest(bundle, stage=…, precision=…)``, which says what an engine built here and now
would be, and ``make(bundle, stage=…, precision=…, store=…, on_step=…)``, which takes the engine from the store or
builds it. Both take the options of their builder (architecture, library, release) as further keywords.
"""

from __future__ import annotations

import hashlib
from pathlib import Path


def builder_version(source: Path, *more: Path) -> str:
    """Hash of the source code that determines an engine's content: files, and the modules of folders."""
    digest = hashlib.sha256()
    files = [file for path in (source, *more) for file in (path.glob("*.py") if path.is_dir() else [path])]
    for path in sorted(files):
        digest.update(f"{path.parent.name}/{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
