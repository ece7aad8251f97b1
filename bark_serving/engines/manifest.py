"""What an engine was made from and for: the schema of its ``manifest.json``, and the key that follows from it."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from bark_serving.profiles import Precision, Profile, Stage

MANIFEST_FILE = "manifest.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorInfo(_Frozen):
    """An input or output: numpy's name of its type, and for each axis a label (any size) or a number."""

    dtype: str
    axes: tuple[str | int, ...]


class Manifest(_Frozen):
    """The whole of ``manifest.json``. The fields from `files` on are filled in by the store."""

    stage: Stage
    profile: Profile
    precision: Precision
    bundle: str  #: hash of the bundle
    bundle_name: str
    shapes: dict[str, tuple[int, int, int]] = {}  #: min, best, max of each axis label; none: any size
    constants: dict[str, float] = {}  #: numbers built into the engine that others send with each request
    architecture: str = "any"  #: instruction set or GPU that the engine is bound to
    versions: dict[str, str]  #: of the libraries that made the engine or must run it
    builder: str  #: hash of the exporter's own source
    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    files: dict[str, str] = {}  #: sha256 by name
    created: datetime | None = None
    seconds: float | None = None  #: time it took to build
    memory: int | None = None  #: bytes of GPU memory that each instance takes beside the weights


def key(manifest: Manifest) -> str:
    """Cache key: a hash of everything that decides the engine's content, and of nothing else."""
    deciding = manifest.model_dump(
        mode="json", exclude={"bundle_name", "inputs", "outputs", "files", "created", "seconds", "memory"}
    )
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:32]
