"""TensorRT, TensorRT for RTX and the CUDA runtime on the CPU: what `nvidia_device` uses of them, and no more.

A plan is an ONNX file, which ONNX Runtime runs. `test_nvidia_device.py` compares the classes and functions here with
the real bindings.
"""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from enum import Enum, IntEnum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from bark_serving.runtimes.device import Place
from tests.plan_on_cpu import CpuPlan


class ILogger:
    Severity = Enum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"])


class EngineValidity(Enum):
    VALID, SUBOPTIMAL, INVALID = range(3)


class EngineInvalidityDiagnostics(Enum):
    VERSION_MISMATCH, UNSUPPORTED_CC, OLD_CUDA_DRIVER, OLD_CUDA_RUNTIME = 1, 2, 4, 8
    INSUFFICIENT_GPU_MEMORY, MALFORMED_ENGINE, CUDA_ERROR = 16, 32, 64


TensorIOMode = Enum("TensorIOMode", ["NONE", "INPUT", "OUTPUT"])
CudaGraphStrategy = Enum("CudaGraphStrategy", ["DISABLED", "WHOLE_GRAPH_CAPTURE"])
DynamicShapesKernelSpecializationStrategy = Enum("DynamicShapesKernelSpecializationStrategy", ["LAZY", "EAGER", "NONE"])
ExecutionContextAllocationStrategy = Enum(
    "ExecutionContextAllocationStrategy", ["STATIC", "ON_PROFILE_CHANGE", "USER_MANAGED"]
)


class Runtime:
    """`refusal`: what TensorRT logs of every plan, which it then does not load."""

    refusal = ""

    def __init__(self, logger: ILogger) -> None:
        assert isinstance(logger, ILogger)
        self.logger: Any = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        if self.refusal:
            self.logger.log(ILogger.Severity.ERROR, self.refusal)
            return None
        return self.engine(serialized_engine)

    @property
    def engine(self) -> type[ICudaEngine]:
        return ICudaEngine


class RtxRuntime(Runtime):
    """`answer`: what `get_engine_validity` says of every plan."""

    answer: tuple[EngineValidity, int] = (EngineValidity.VALID, 0)

    def get_engine_validity(self, buffer: bytes) -> tuple[EngineValidity, int]:
        return self.answer

    @property
    def engine(self) -> type[ICudaEngine]:
        return RtxEngine


class IRuntimeCache:
    def __init__(self) -> None:
        self.content = b"kernels"

    def serialize(self) -> bytes:
        return self.content

    def deserialize(self, blob: bytes) -> bool:
        return blob == self.content


class IRuntimeConfig:
    def set_execution_context_allocation_strategy(self, strategy: ExecutionContextAllocationStrategy) -> None:
        assert isinstance(strategy, ExecutionContextAllocationStrategy)


class RtxConfig(IRuntimeConfig):
    cuda_graph_strategy = CudaGraphStrategy.DISABLED
    dynamic_shapes_kernel_specialization_strategy = DynamicShapesKernelSpecializationStrategy.LAZY

    def create_runtime_cache(self) -> IRuntimeCache:
        return IRuntimeCache()

    def set_runtime_cache(self, cache: IRuntimeCache) -> bool:
        return True


class ICudaEngine:
    def __init__(self, onnx: bytes) -> None:
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            file.write(onnx)
            file.flush()
            self.plan = CpuPlan(Path(file.name))
        self.names = self.plan.inputs + self.plan.outputs

    @property
    def num_io_tensors(self) -> int:
        return len(self.names)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self.plan.inputs else TensorIOMode.OUTPUT

    def create_runtime_config(self) -> IRuntimeConfig:
        return IRuntimeConfig()

    def create_execution_context(self, runtime_config: IRuntimeConfig) -> IExecutionContext:
        return IExecutionContext(self.plan)


class RtxEngine(ICudaEngine):
    def create_runtime_config(self) -> IRuntimeConfig:
        return RtxConfig()


class IExecutionContext:
    def __init__(self, plan: CpuPlan) -> None:
        self.plan = plan
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.profile: int | None = None
        self.known: dict[Any, Mapping[str, tuple[int, ...]]] = {}

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self.profile = profile_index
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = shape
        return name in self.plan.inputs

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return name in self.plan.inputs + self.plan.outputs

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.output_shapes()[name]

    def output_shapes(self) -> Mapping[str, tuple[int, ...]]:
        key = tuple(sorted(self.shapes.items()))
        if key not in self.known:  # it takes a run of the graph
            self.known[key] = self.plan.output_shapes({name: Place(0, shape) for name, shape in self.shapes.items()})
        return self.known[key]

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert self.profile is not None
        shapes = {**self.shapes, **self.output_shapes()}
        tensors = {name: Place(address, shapes[name]) for name, address in self.addresses.items()}
        step = self.plan.bind(tensors, profile=self.profile, repeated=False)
        recording = Cuda.recording.get()
        if recording is None:
            step()
        else:
            recording.append(step)
        return True


#: With the numbers that they have in CUDA.
cudaError_t = IntEnum(  # noqa: N816 - its name
    "cudaError_t", ["cudaSuccess", "cudaErrorInvalidValue", "cudaErrorMemoryAllocation"], start=0
)
cudaMemcpyKind = IntEnum(  # noqa: N816 - its name
    "cudaMemcpyKind",
    ["cudaMemcpyHostToHost", "cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost", "cudaMemcpyDeviceToDevice"],
    start=0,
)
cudaStreamCaptureMode = IntEnum(  # noqa: N816 - its name
    "cudaStreamCaptureMode",
    ["cudaStreamCaptureModeGlobal", "cudaStreamCaptureModeThreadLocal", "cudaStreamCaptureModeRelaxed"],
    start=0,
)
CUDA_ENUMS = (cudaError_t, cudaMemcpyKind, cudaStreamCaptureMode)

_OK = cudaError_t.cudaSuccess


class Cuda(SimpleNamespace):
    """``cuda.bindings.runtime``. free: bytes that `cudaMalloc` still has."""

    #: The steps of a CUDA graph while one is recorded: each thread has its own, as in the mode `ThreadLocal`.
    recording: ClassVar[ContextVar[list[Callable[[], None]] | None]] = ContextVar("recording", default=None)

    def __init__(self, free: float = 1e9) -> None:
        super().__init__(**{enum.__name__: enum for enum in CUDA_ENUMS})
        self.free = free
        self.memory: list[np.ndarray] = []

    def cudaSetDevice(self, device: int) -> tuple[Any, ...]:  # noqa: N802
        return (_OK,)

    def cudaStreamCreate(self) -> tuple[Any, ...]:  # noqa: N802
        return _OK, 7

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any, ...]:  # noqa: N802
        assert stream == 7
        return (_OK,)

    def cudaStreamBeginCapture(self, stream: int, mode: cudaStreamCaptureMode) -> tuple[Any, ...]:  # noqa: N802
        assert Cuda.recording.get() is None and mode is cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        Cuda.recording.set([])
        return (_OK,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Any, ...]:  # noqa: N802
        steps = Cuda.recording.get()
        Cuda.recording.set(None)
        return _OK, steps

    def cudaGraphInstantiate(self, graph: list[Callable[[], None]], flags: int) -> tuple[Any, ...]:  # noqa: N802
        return _OK, graph

    def cudaGraphLaunch(self, graphExec: list[Callable[[], None]], stream: int) -> tuple[Any, ...]:  # noqa: N802, N803
        for step in graphExec:
            step()
        return (_OK,)

    def cudaGetErrorString(self, error: cudaError_t) -> tuple[Any, ...]:  # noqa: N802
        return _OK, error.name.encode()

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:  # noqa: N802
        if size > self.free:
            return cudaError_t.cudaErrorMemoryAllocation, None
        self.free -= size
        self.memory.append(np.full(size, 255, np.uint8))
        return _OK, self.memory[-1].ctypes.data

    def cudaMemset(self, devPtr: int, value: int, count: int) -> tuple[Any, ...]:  # noqa: N802, N803
        ctypes.memset(devPtr, value, count)
        return (_OK,)

    def cudaMemcpyAsync(  # noqa: N802
        self, dst: int, src: int, count: int, kind: cudaMemcpyKind, stream: int
    ) -> tuple[Any, ...]:
        assert stream == 7
        ctypes.memmove(dst, src, count)
        return (_OK,)

    def cudaMemcpy2DAsync(  # noqa: N802
        self, dst: int, dpitch: int, src: int, spitch: int, width: int, height: int, kind: cudaMemcpyKind, stream: int
    ) -> tuple[Any, ...]:
        assert stream == 7 and width <= min(dpitch, spitch)
        for row in range(height):
            ctypes.memmove(dst + row * dpitch, src + row * spitch, width)
        return (_OK,)


_ENUMS: list[Any] = [TensorIOMode, ExecutionContextAllocationStrategy]
_RTX_ENUMS: list[Any] = [
    EngineValidity,
    EngineInvalidityDiagnostics,
    CudaGraphStrategy,
    DynamicShapesKernelSpecializationStrategy,
]
#: What each library's module has, by name.
ENUMS: dict[str, list[Any]] = {"tensorrt_bindings": _ENUMS, "tensorrt_rtx_bindings": _ENUMS + _RTX_ENUMS}
CLASSES: dict[str, dict[str, type]] = {
    "tensorrt_bindings": {
        "Runtime": Runtime,
        "IRuntimeConfig": IRuntimeConfig,
        "ICudaEngine": ICudaEngine,
        "IExecutionContext": IExecutionContext,
    },
    "tensorrt_rtx_bindings": {
        "Runtime": RtxRuntime,
        "IRuntimeConfig": RtxConfig,
        "ICudaEngine": RtxEngine,
        "IExecutionContext": IExecutionContext,
        "IRuntimeCache": IRuntimeCache,
    },
}


def library(name: str) -> ModuleType:
    """The stand-in of a TensorRT."""
    module = ModuleType(name)
    vars(module).update(CLASSES[name], ILogger=ILogger, **{enum.__name__: enum for enum in ENUMS[name]})
    return module


def modules(cuda: Cuda | None = None) -> dict[str, Any]:
    """What replaces the libraries in `sys.modules`."""
    package, bindings = (ModuleType(name) for name in ("cuda", "cuda.bindings"))
    bindings.runtime = cuda or Cuda()  # type: ignore[attr-defined]
    return {
        **{name: library(name) for name in CLASSES},
        "cuda": package,
        "cuda.bindings": bindings,
        "cuda.bindings.runtime": bindings.runtime,  # type: ignore[attr-defined]
    }
