"""TensorRT and TensorRT for RTX under one name: the same API, two Python packages.

Everything else in this package takes the module from here. So continuous integration, which builds with TensorRT for
RTX on a CPU, runs the same code that builds with TensorRT on a data-centre GPU.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal, get_args

from build_engines.errors import BuildError

Flavour = Literal["tensorrt", "tensorrt_rtx"]
FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)

#: Packages of each flavour. The wheels of bindings have no package of the plain name.
_PACKAGES: dict[Flavour, tuple[str, ...]] = {
    "tensorrt": ("tensorrt", "tensorrt_bindings"),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
_TITLES: dict[Flavour, str] = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX"}
_INSTALL: dict[Flavour, str] = {
    "tensorrt": "Build inside the Triton container that will serve, which has it, or `pip install tensorrt`.",
    "tensorrt_rtx": "`pip install tensorrt_rtx_cu13_libs tensorrt_rtx_cu13_bindings`.",
}


@dataclass(frozen=True)
class Library:
    """A TensorRT that can be used here. `api` is its Python module."""

    flavour: Flavour
    api: Any
    version: str

    @property
    def title(self) -> str:
        """Its name and version, for people."""
        return f"{_TITLES[self.flavour]} {self.version}"


def load_library(flavour: Flavour | None = None) -> Library:
    """The TensorRT of this machine. `flavour` None: TensorRT itself if it is installed, because only its plans serve.

    Raises `BuildError` when it is not installed, or its libraries are not.
    """
    reasons = []
    for candidate in (flavour,) if flavour else FLAVOURS:
        for package in _PACKAGES[candidate]:
            try:
                api = importlib.import_module(package)
            except ImportError as error:  # of bindings without their libraries, too
                reasons.append(str(error))
            else:
                return Library(candidate, api, str(api.__version__))
    wanted = flavour or "tensorrt"
    raise BuildError(f"{_TITLES[wanted]} cannot be used here ({reasons[0]}).", remedy=_INSTALL[wanted])
