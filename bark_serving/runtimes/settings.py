"""The settings of a runtime. They are not in `factory`, so that a process without a stage loads no runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bark_serving.bundle import Bundle
from bark_serving.profiles import Precision, Profile


@dataclass(frozen=True)
class RuntimeSettings:
    """The settings of one stage, from its config.pbtxt; see ``model_repository/runtime.pbtxt.j2``."""

    profile: Profile
    precision: Precision
    bundle: Bundle
    engine: Path | None  #: folder; None where the profile runs the bundle's own weights
    devices: Sequence[str]  #: ``cpu``, or one ``cuda:<number>`` per GPU
    threads: int
    kernels: bool = True  #: whether the kernels may run an engine that has packed weights
