"""TensorRT and TensorRT for RTX under one name: the same API, two Python packages.

Everything else in this package takes the module from here. So continuous integration, which builds with TensorRT for
RTX on a CPU, runs the same code that builds with TensorRT on a data-centre GPU.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from bark_serving.errors import install_remedy
from build_engines.errors import BuildError

Flavour = Literal["tensorrt", "tensorrt_rtx"]

#: Packages of each flavour. The wheels of bindings have no package of the plain name.
_PACKAGES: dict[Flavour, tuple[str, ...]] = {
    "tensorrt": ("tensorrt", "tensorrt_bindings"),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
TITLES: dict[Flavour, str] = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX"}
_INSTALL: dict[Flavour, str] = {
    "tensorrt": f"{install_remedy('tensorrt')} For the profile trtllm, build in the container that will serve.",
    "tensorrt_rtx": install_remedy("rtx"),
}


FIRST_WITH_CACHES = (10, 16)  #: the first release of TensorRT that updates a KV cache in place


@dataclass(frozen=True)
class Library:
    """A TensorRT that can be used here. `api` is its Python module."""

    flavour: Flavour
    api: Any
    version: str

    @property
    def title(self) -> str:
        """Its name and version, for people."""
        return f"{TITLES[self.flavour]} {self.version}"


def load_library(flavour: Flavour) -> Library:
    """The TensorRT of this machine. Raises `BuildError` when it is not installed, or its libraries are not."""
    reasons = []
    for package in _PACKAGES[flavour]:
        try:
            api = importlib.import_module(package)
        except ImportError as error:  # of bindings without their libraries, too
            reasons.append(str(error))
        else:
            return Library(flavour, api, str(api.__version__))
    raise BuildError(f"{TITLES[flavour]} cannot be used here ({reasons[0]}).", remedy=_INSTALL[flavour])


def check_caches(library: Library) -> None:
    """Raise `BuildError` if this release cannot update a KV cache in place, which a GPT needs."""
    if library.flavour == "tensorrt" and tuple(map(int, library.version.split(".")[:2])) < FIRST_WITH_CACHES:
        first = ".".join(map(str, FIRST_WITH_CACHES))
        raise BuildError(
            f"{library.title} does not know KV caches; the tensorrt profile needs {first} or newer.",
            remedy=f"{install_remedy('tensorrt')} Or let TensorRT-LLM run the GPTs: --gpt trtllm.",
        )
