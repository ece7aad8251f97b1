"""Whether an engine can run on a machine: on its GPU, and with the libraries that load it.

A TensorRT plan loads only on the GPU architecture and in the TensorRT release that it was built for. An ONNX graph
loads on any machine, but ONNX Runtime's contrib operators change between minor releases.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata

from bark_serving.host import gpus

_RTX = "tensorrt_rtx"
#: File names of TensorRT's library. A Triton container may have it without the Python package.
_TENSORRT_LIBRARIES = ("libnvinfer.so.10", "libnvinfer.so.11")


@dataclass(frozen=True)
class Host:
    """What decides whether an engine can run on a machine."""

    architectures: Sequence[str] = ()  #: of its GPUs; empty: it has no GPU, so architectures are not compared
    versions: Mapping[str, str] = field(default_factory=dict)  #: of the installed libraries that load engines


@dataclass(frozen=True)
class _Loader:
    title: str
    significant_parts: int  #: how many leading numbers of two versions must agree
    installed: Callable[[], str | None]


def this_host(gpu_numbers: Sequence[int] | None = None) -> Host:
    """This machine with the GPUs of these numbers, or with all its GPUs."""
    found = {name: version for name, loader in LOADERS.items() if (version := loader.installed())}
    return Host(architectures=gpus.architectures(gpu_numbers), versions=found)


def incompatibility(*, architecture: str, versions: Mapping[str, str], host: Host, rtx: bool = False) -> str | None:
    """Why an engine for `architecture`, made by libraries of `versions`, cannot run on `host`; None when it can.

    rtx: whether TensorRT for RTX loads the plan, if the engine is one.
    Returns a reason such as "was built for sm90, the GPU here is sm80".
    """
    if _RTX in versions and not rtx:
        return f"was built with TensorRT for RTX {versions[_RTX]}, whose plans TensorRT does not load"
    built_for = architecture.split("+")
    others = [name for name in host.architectures if name not in built_for]
    if architecture != "any" and others:
        return f"was built for {' and '.join(built_for)}, the GPU here is {others[0]}"
    for name, loader in LOADERS.items():
        built, installed = versions.get(name), host.versions.get(name)
        if built and installed and _significant(built, loader) != _significant(installed, loader):
            return f"was made for {loader.title} {built}, here is {installed}"
    return None


def loader_versions(versions: Mapping[str, str]) -> Sequence[str]:
    """The library versions that an engine made by `versions` needs. Equal answers: both load on the same hosts."""
    needed = [(name, loader) for name, loader in LOADERS.items() if name in versions]
    return [f"{name} {_significant(versions[name], loader)}" for name, loader in needed]


def _significant(version: str, loader: _Loader) -> str:
    return ".".join(version.split(".")[: loader.significant_parts])


def _package(name: str) -> Callable[[], str | None]:
    def installed() -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    return installed


def kernels_layout() -> str | None:
    """The version of the packed weights that the installed kernels read."""
    if importlib.util.find_spec("bark_kernels") is None:
        return None
    from bark_kernels import LAYOUT

    return str(LAYOUT)


def _tensorrt() -> str | None:
    """The version of TensorRT's Python package, else of the library itself (which says 101100 for 10.11.0)."""
    if version := _package("tensorrt_cu13_bindings")() or _package("tensorrt")():
        return version
    for name in _TENSORRT_LIBRARIES:
        try:
            number = int(ctypes.CDLL(name).getInferLibVersion())
        except (OSError, AttributeError):
            continue
        return f"{number // 10_000}.{number // 100 % 100}.{number % 100}"
    return None


def _tensorrt_rtx() -> str | None:
    """The version of TensorRT for RTX. Its bindings are one wheel per release of CUDA."""
    return next(filter(None, (_package(f"tensorrt_rtx_{cuda}_bindings")() for cuda in ("cu13", "cu12"))), None)


LOADERS: Mapping[str, _Loader] = {
    "onnxruntime": _Loader("ONNX Runtime", 2, _package("onnxruntime")),
    "bark_kernels": _Loader("the kernels' layout", 1, kernels_layout),
    "tensorrt": _Loader("TensorRT", 3, _tensorrt),
    _RTX: _Loader("TensorRT for RTX", 4, _tensorrt_rtx),
    "tensorrt_llm": _Loader("TensorRT-LLM", 3, _package("tensorrt_llm")),
}
