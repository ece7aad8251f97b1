"""The tritonserver binary: where it is, what it needs around it, and its command line.

On a laptop the binary comes from the ``nvidia-pytriton`` wheel; nothing of the wheel is imported. In NVIDIA's
containers it is on PATH. This module depends on three facts about the wheel's server (2.51). Its Python backend looks
beside itself for the stub of the right Python version. It finds its libraries by the stub's real path, so the stub must
be linked, not copied. It runs the models with the first ``python3`` on PATH, isolated, so PYTHONPATH is ignored.
"""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bark_serving.errors import install_remedy
from bark_serving.server.errors import TritonMissing
from bark_serving.server.settings import ServerSettings, configs

CONTAINER_BINARY = Path("/opt/tritonserver/bin/tritonserver")
CONTROL_HEADER = "bark-control"
GRPC_CONTROL_HEADER = f"triton-grpc-protocol-{CONTROL_HEADER}"


@dataclass(frozen=True)
class Triton:
    """A tritonserver found on this machine."""

    binary: Path
    wheel: bool  #: whether it is the nvidia-pytriton wheel's, whose backend folder must be assembled first

    @property
    def root(self) -> Path:
        return self.binary.parent.parent


def find(settings: ServerSettings) -> Triton:
    """The server that the settings name, else the wheel's, else the one on PATH or of NVIDIA's container.

    With a GPU the order is reversed, because the wheel's server has only the Python backend.
    Raises `TritonMissing`.
    """
    if settings.triton is not None:
        if not settings.triton.is_file():
            raise TritonMissing(f"{settings.triton} is not a file.", remedy="Give --triton the tritonserver binary.")
        return _describe(settings.triton)
    found = [_in_wheel(), _on_path()]
    for binary in reversed(found) if settings.gpu else found:
        if binary is not None:
            return _describe(binary)
    raise TritonMissing(
        "No tritonserver was found.",
        remedy=f"{install_remedy('serve')} Or give --triton the path of the binary.",
    )


def _describe(binary: Path) -> Triton:
    binary = binary.resolve()
    return Triton(binary, wheel=(binary.parent.parent / "python_backend_stubs").is_dir())


def _in_wheel() -> Path | None:
    spec = importlib.util.find_spec("pytriton")  # finds the package without importing it
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder) / "tritonserver/bin/tritonserver"
        if binary.is_file():
            return binary
    return None


def _on_path() -> Path | None:
    found = shutil.which("tritonserver")
    if found:
        return Path(found)
    return CONTAINER_BINARY if CONTAINER_BINARY.is_file() else None


def check_interpreter(triton: Triton, *, numpy: str | None = None) -> None:
    """Raise `TritonMissing` if the wheel's stub cannot run models correctly with this interpreter.

    Under NumPy 2 this stub corrupts tensors without an error: FP32 ``[1, 2, 3, 4]`` arrives as ``[1, 1, 1, 1]``.
    `numpy` overrides the installed version.
    """
    if not triton.wheel:
        return
    version = numpy or importlib.metadata.version("numpy")
    if int(version.split(".")[0]) >= 2:
        raise TritonMissing(
            f"{sys.executable} has NumPy {version}; Triton 24.10's Python stub corrupts tensors under NumPy 2.",
            remedy="Run `pip install numpy==1.26.4` in that environment.",
        )
    if not _stub(triton).is_file():
        have = ", ".join(sorted(path.name for path in (triton.root / "python_backend_stubs").iterdir()))
        raise TritonMissing(
            f"Triton has no stub for Python {_python()}, only for {have}.",
            remedy="Use one of those Python versions, for example 3.11.",
        )
    library = sysconfig.get_config_var("INSTSONAME") or ""
    shared = ".so" in library and (Path(sysconfig.get_config_var("LIBDIR") or "/") / library).exists()
    if not shared and ctypes.util.find_library(f"python{_python()}") is None:
        raise TritonMissing(
            f"{sys.executable} has no shared libpython{_python()}.so, which Triton's stub links to.",
            remedy=f"Install it (Debian: `apt install libpython{_python()}`), or a Python that has one.",
        )


def backends_of(repository: Path) -> set[str]:
    """The backends that a rendered repository's models name."""
    texts = (path.read_text(encoding="utf-8") for path in configs(repository))
    return {name for text in texts for name in re.findall(r'^\s*backend:\s*"([^"]+)"', text, re.MULTILINE)}


def check_backends(triton: Triton, named: Iterable[str]) -> None:
    """Raise `TritonMissing` if the server lacks one of these backends. If it has no folder of backends, pass.

    NVIDIA's containers of TensorRT-LLM have no backend for TensorRT's plans.
    """
    folder = triton.root / "backends"
    missing = sorted(name for name in named if not (folder / name).is_dir())
    if folder.is_dir() and missing:
        raise TritonMissing(
            f"{triton.binary} has no {' and no '.join(missing)} backend (in {folder}), which a stage needs.",
            remedy="Serve in the image that docker/Dockerfile.trtllm makes, or give --triton one that has it.",
        )


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _stub(triton: Triton) -> Path:
    return triton.root / "python_backend_stubs" / _python() / "triton_python_backend_stub"


def backends(triton: Triton, *, folder: Path) -> Path:
    """The folder for ``--backend-directory``. For the wheel's server it is `folder`, filled with links.

    The Python backend's folder is on the models' import path. A link there lets them import this package even if it is
    not installed. (In NVIDIA's containers it must be installed.)
    """
    if not triton.wheel:
        return triton.root / "backends"
    python = folder / "python"
    shutil.rmtree(folder, ignore_errors=True)
    python.mkdir(parents=True)
    source = triton.root / "backends/python"
    package = Path(__file__).resolve().parents[1]
    for path in (source / "libtriton_python.so", source / "triton_python_backend_utils.py", _stub(triton), package):
        (python / path.name).symlink_to(path)
    return folder


#: Environment variable of the tensorrtllm backend: run each instance, on its own GPU, in its own process.
ORCHESTRATOR = "TRTLLM_ORCHESTRATOR"


def has_engines_on_several_gpus(repository: Path) -> bool:
    """Whether a model of the tensorrtllm backend lists more than one group of GPUs."""
    texts = (path.read_text(encoding="utf-8") for path in configs(repository))
    return any(re.search(r'"gpu_device_ids"[^"]*"[^"]*;', text) for text in texts)


def environment(
    triton: Triton, base: Mapping[str, str] | None = None, *, repository: Path | None = None
) -> dict[str, str]:
    """The server's environment: this interpreter is first on PATH, and the wheel's server finds its libpython.

    The library path of a container stays as it is, because its order matters: CUDA's compatibility libraries must come
    before the driver's.
    """
    environment = dict(os.environ if base is None else base)
    _prepend(environment, "PATH", str(Path(sys.executable).parent))
    if triton.wheel:
        _prepend(environment, "LD_LIBRARY_PATH", str(sysconfig.get_config_var("LIBDIR") or ""))
    environment.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime would store a device id on disk
    if repository and has_engines_on_several_gpus(repository):
        environment.setdefault(ORCHESTRATOR, "1")
    return environment


def _prepend(environment: dict[str, str], variable: str, value: str) -> None:
    environment[variable] = os.pathsep.join(part for part in (value, environment.get(variable, "")) if part)


def command(
    triton: Triton, settings: ServerSettings, *, backends: Path, shm_prefix: str, control_key: str
) -> list[str]:
    """The command line of the server.

    Models are loaded in explicit control mode, so that the supervisor can reload one. The API for this can also upload
    code, and the API for shared memory can map the stubs' own regions. So both accept only requests with
    `control_key`. Other users of the machine can read the key on the command line, unless ``/proc`` hides processes
    (``hidepid``).
    """
    guarded = f"{CONTROL_HEADER}={control_key}"
    arguments = {
        "model-repository": settings.repository,
        "backend-directory": backends,
        "http-address": settings.address,
        "grpc-address": settings.address,
        "metrics-address": settings.address,
        **settings.ports,
        "model-control-mode": "explicit",
        "load-model": "*",
        "grpc-restricted-protocol": f"model-repository,shared-memory:{guarded}",
        "http-restricted-api": f"model-repository,shared-memory:{guarded}",
        "backend-config": f"python,shm-region-prefix-name={shm_prefix}",
        # Triton waits so many whole seconds, then unloads its models, which must fit into the rest of our deadline.
        "exit-timeout-secs": max(1, int(settings.stop_timeout / 2)),
        "log-format": "ISO8601",
    }
    if not settings.gpu:
        arguments |= {"allow-gpu-metrics": "false", "pinned-memory-pool-byte-size": 0}
    return [
        str(triton.binary),
        "--disable-auto-complete-config",
        *(f"--{name}={value}" for name, value in arguments.items()),
    ]
