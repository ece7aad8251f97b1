"""What an engine was made from and for: the schema of ``manifest.json``, and the key computed from it."""

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
    shapes: dict[str, tuple[int, int, int]] = {}  #: (min, best, max) of each axis label; an absent label: any size
    constants: dict[str, float] = {}  #: numbers that are built into the engine instead of sent with each request
    architecture: str = "any"  #: the GPU architecture or instruction set that the engine needs
    versions: dict[str, str]  #: of the libraries that made the engine or run it
    builder: str  #: hash of the exporter's own source
    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    files: dict[str, str] = {}  #: sha256 by name
    sizes: dict[str, int] = {}  #: bytes by name; empty: an older version built the engine
    created: datetime | None = None
    seconds: float | None = None  #: of the build
    memory: int | None = None  #: bytes of GPU memory per instance, without the weights


def key(manifest: Manifest) -> str:
    """The engine's key: a hash of exactly what decides its content."""
    deciding = manifest.model_dump(
        mode="json", exclude={"bundle_name", "inputs", "outputs", "files", "sizes", "created", "seconds", "memory"}
    )
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:32]
