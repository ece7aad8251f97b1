"""Whether an engine fits the machine that is to run it: its GPU, and the libraries that load it.

An engine is bound to both. TensorRT's plans load on one GPU architecture and in the release that made them; ONNX
Runtime's graphs load anywhere, but its contrib operators change between minor releases.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata

from bark_serving.host import gpus

_RTX = "tensorrt_rtx"
#: What TensorRT's library has been called; a Triton container need not have its Python package.
_TENSORRT_LIBRARIES = ("libnvinfer.so.10", "libnvinfer.so.11")


@dataclass(frozen=True)
class Host:
    """What decides whether an engine can run here."""

    architectures: Sequence[str] = ()  #: of the GPUs; none: there is no GPU, and nothing to compare with
    versions: Mapping[str, str] = field(default_factory=dict)  #: of the libraries that load engines, where installed


@dataclass(frozen=True)
class _Loader:
    title: str
    places: int  #: how many numbers of a version must agree
    installed: Callable[[], str | None]


def here(wanted: Sequence[int] | None = None) -> Host:
    """This machine; of its GPUs those of the numbers `wanted`, or all."""
    found = {name: version for name, loader in LOADERS.items() if (version := loader.installed())}
    return Host(architectures=gpus.architectures(wanted), versions=found)


def misfit(*, architecture: str, versions: Mapping[str, str], host: Host) -> str | None:
    """Why an engine for `architecture`, made by libraries of `versions`, can't run on `host`; None when it can.

    The answer completes the sentence "The engine …".
    """
    if _RTX in versions:
        return f"was built with TensorRT for RTX {versions[_RTX]}, whose plans Triton does not load"
    built_for = architecture.split("+")
    lacking = [name for name in host.architectures if name not in built_for]
    if architecture != "any" and lacking:
        return f"was built for {' and '.join(built_for)}, the GPU here is {lacking[0]}"
    for name, loader in LOADERS.items():
        made, found = versions.get(name), host.versions.get(name)
        if made and found and _leading(made, loader.places) != _leading(found, loader.places):
            return f"was made for {loader.title} {made}, here is {found}"
    return None


def loaded_by(versions: Mapping[str, str]) -> Sequence[str]:
    """What loads an engine made by libraries of `versions`: two with the same answer load in the same places."""
    rtx = [f"{_RTX} {versions[_RTX]}"] if _RTX in versions else []
    loaders = ((name, loader.places) for name, loader in LOADERS.items() if name in versions)
    return [*rtx, *(f"{name} {_leading(versions[name], places)}" for name, places in loaders)]


def _leading(version: str, places: int) -> str:
    return ".".join(version.split(".")[:places])


def _package(name: str) -> Callable[[], str | None]:
    def installed() -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    return installed


def _tensorrt() -> str | None:
    """Of the Python package, else of the library itself: 101100 means 10.11.0."""
    if version := _package("tensorrt")():
        return version
    for name in _TENSORRT_LIBRARIES:
        try:
            number = int(ctypes.CDLL(name).getInferLibVersion())
        except (OSError, AttributeError):
            continue
        return f"{number // 10_000}.{number // 100 % 100}.{number % 100}"
    return None


LOADERS: Mapping[str, _Loader] = {
    "onnxruntime": _Loader("ONNX Runtime", 2, _package("onnxruntime")),
    "tensorrt": _Loader("TensorRT", 3, _tensorrt),
    "tensorrt_llm": _Loader("TensorRT-LLM", 3, _package("tensorrt_llm")),
}
