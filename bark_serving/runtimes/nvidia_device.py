"""One NVIDIA GPU: plans in TensorRT or TensorRT for RTX, memory through the CUDA runtime.

All work goes to one stream, in order. Not yet run on hardware. Tests compare each call with the signatures of the real
bindings. All that serving asks of a GPU is here, and nothing else is.

The two libraries have one API. TensorRT for RTX adds to it: it says why it does not take a plan, compiles a plan's
kernels for the GPU when they are first used, and records a step as a CUDA graph itself. Compiled kernels are kept
beside the engines, for the next start. Steps of TensorRT are recorded here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cuda.bindings import runtime as cuda

from bark_serving.arrays import Array
from bark_serving.errors import UserError
from bark_serving.runtimes.device import Place

log = logging.getLogger(__name__)

CACHES = ".kernels"  #: folder of compiled kernels, in the engine store

#: What TensorRT for RTX says about a plan that it cannot run: the sentence and the remedy.
_REASONS: Mapping[str, tuple[str, str]] = {
    "VERSION_MISMATCH": ("was built by another release of TensorRT for RTX", "Build the engines again."),
    "UNSUPPORTED_CC": ("was built for other GPUs", "Build the engines again, for this GPU."),
    "OLD_CUDA_DRIVER": ("needs a newer driver", "Update the NVIDIA driver."),
    "OLD_CUDA_RUNTIME": ("needs a newer CUDA runtime", "Update the NVIDIA driver, and `cuda-bindings`."),
    "INSUFFICIENT_GPU_MEMORY": ("does not fit into the GPU's memory", "Free memory, or take Bark small or int4."),
    "MALFORMED_ENGINE": ("is no plan of TensorRT for RTX", "Build the engines again."),
    "CUDA_ERROR": ("cannot be checked, because CUDA does not work here", "Does `nvidia-smi` list the GPU?"),
}


class DeviceError(UserError):
    """The GPU cannot do what was asked for."""


class NvidiaDevice:
    """Implements `bark_serving.runtimes.device.Device`.

    number: of the GPU, as CUDA counts. trt: the Python module of TensorRT, or of TensorRT for RTX.
    """

    def __init__(self, number: int, trt: Any) -> None:
        self._number = number
        self._trt = trt
        self._select()
        self._stream = _checked(cuda.cudaStreamCreate())
        self._log = _logger(trt)
        self._runtime = trt.Runtime(self._log)

    def allocate(self, size: int) -> int:
        self._select()
        error, address = cuda.cudaMalloc(size)
        if error == cuda.cudaError_t.cudaErrorMemoryAllocation:
            raise DeviceError(
                f"GPU {self._number} has no {size / 1e6:,.0f} MB of memory left.",
                remedy="Free memory on it, or serve smaller batches: --max-batch 1.",
            )
        _checked((error,))
        _checked(cuda.cudaMemset(address, 0, size))
        return int(address)

    def upload(self, address: int, array: Array) -> None:
        # pageable memory is copied to a buffer of the driver before this returns
        self._copy(address, array.ctypes.data, array.nbytes, cuda.cudaMemcpyKind.cudaMemcpyHostToDevice)

    def download(self, address: int, array: Array) -> None:
        self._copy(array.ctypes.data, address, array.nbytes, cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost)
        _checked(cuda.cudaStreamSynchronize(self._stream))

    def copy(self, target: int, source: int, *, size: int, stride: int, count: int) -> None:
        self._select()
        kind = cuda.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        _checked(cuda.cudaMemcpy2DAsync(target, stride, source, stride, size, count, kind, self._stream))

    def load(self, plan: Path) -> Plan:
        self._select()
        data = plan.read_bytes()
        if _is_rtx(self._trt):
            self._check(plan, data)
        engine = self._runtime.deserialize_cuda_engine(data)
        if engine is None:
            raise DeviceError(
                f"{plan} cannot be loaded: {self._log.error.rstrip('.') or 'TensorRT does not say why'}.",
                remedy="Build the engines again, on this GPU and with this TensorRT.",
            )
        kernels = plan.parents[1] / CACHES / f"{plan.parent.name}.bin"
        return Plan(engine, trt=self._trt, stream=int(self._stream), kernels=kernels)

    def _check(self, plan: Path, data: bytes) -> None:
        """Raise `DeviceError` with the reason why TensorRT for RTX cannot run a plan here, if it cannot."""
        validity, reasons = self._runtime.get_engine_validity(data)
        if validity == self._trt.EngineValidity.INVALID:
            diagnostics = self._trt.EngineInvalidityDiagnostics
            found = [name for name in _REASONS if reasons & int(getattr(diagnostics, name).value)]
            problem, remedy = _REASONS[found[0] if found else "CUDA_ERROR"]
            raise DeviceError(f"{plan} {problem}.", remedy=remedy)

    def _copy(self, target: int, source: int, size: int, kind: Any) -> None:
        self._select()
        _checked(cuda.cudaMemcpyAsync(target, source, size, kind, self._stream))

    def _select(self) -> None:
        """The current GPU belongs to a thread, and a model is opened in one thread and run in another."""
        _checked(cuda.cudaSetDevice(self._number))


class Plan:
    """Implements `bark_serving.runtimes.device.LoadedPlan`.

    kernels: the file of the plan's compiled kernels, which only TensorRT for RTX has.
    """

    def __init__(self, engine: Any, *, trt: Any, stream: int, kernels: Path) -> None:
        self._engine = engine
        self._trt = trt
        self._stream = stream
        self._kernels = kernels
        self._shared: dict[int, Any] = {}  # contexts of steps that do not repeat, by profile
        self._recorded: list[Any] = []  # contexts of recorded steps, which use their memory
        self._kept: set[int] = set()  # profiles whose kernels are kept, of steps that do not repeat
        self._cache: Any = engine.create_runtime_config().create_runtime_cache() if _is_rtx(trt) else None
        if self._cache and kernels.exists() and not self._cache.deserialize(kernels.read_bytes()):
            log.info("%s is from another release, GPU or driver; the kernels are compiled again", kernels)

    def output_shapes(self, inputs: Mapping[str, Place]) -> Mapping[str, tuple[int, ...]]:
        context = self._shared_context(0)
        for name, place in inputs.items():
            _accepted(context.set_input_shape(name, place.shape), name, place)
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        return {name: tuple(context.get_tensor_shape(name)) for name in names if not self._is_input(name)}

    def bind(self, tensors: Mapping[str, Place], *, profile: int, repeated: bool) -> Callable[[], None]:
        context = self._open(profile, repeated=True) if repeated else self._shared_context(profile)
        for name, place in tensors.items():
            if self._is_input(name):
                _accepted(context.set_input_shape(name, place.shape), name, place)
            _accepted(context.set_tensor_address(name, place.address), name, place)

        def run() -> None:
            if not context.execute_async_v3(self._stream):
                raise DeviceError("A step failed on the GPU; the log says why.")

        def run_and_keep() -> None:
            run()
            self._kept.add(profile)
            self._keep_kernels()

        if not repeated:
            return run if self._cache is None or profile in self._kept else run_and_keep
        run()  # compile and record now, so that no request waits for it
        if self._cache is None:
            self._recorded.append(context)
            return _recorded(run, self._stream)
        self._keep_kernels()
        return run

    def _is_input(self, name: str) -> bool:
        return bool(self._engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT)

    def _shared_context(self, profile: int) -> Any:
        if profile not in self._shared:
            self._shared[profile] = self._open(profile, repeated=False)
        return self._shared[profile]

    def _open(self, profile: int, *, repeated: bool) -> Any:
        trt, config = self._trt, self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.ON_PROFILE_CHANGE)
        if self._cache is not None:
            config.set_runtime_cache(self._cache)
            strategy = trt.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = strategy.EAGER if repeated else strategy.LAZY
            graphs = trt.CudaGraphStrategy
            config.cuda_graph_strategy = graphs.WHOLE_GRAPH_CAPTURE if repeated else graphs.DISABLED
        context = self._engine.create_execution_context(config)
        if context is None or not context.set_optimization_profile_async(profile, self._stream):
            raise DeviceError("TensorRT opens no context; the log says why.", remedy="Is GPU memory left?")
        return context

    def _keep_kernels(self) -> None:
        try:
            self._kernels.parent.mkdir(exist_ok=True)
            unfinished = self._kernels.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(memoryview(self._cache.serialize()))
            unfinished.replace(self._kernels)
        except OSError as error:  # they are compiled again at the next start
            log.info("compiled kernels are not kept: %s", error)


def _accepted(done: bool, name: str, place: Place) -> None:
    if not done:
        raise DeviceError(f"TensorRT refuses {name} of shape {place.shape}.")


def _is_rtx(trt: Any) -> bool:
    return hasattr(trt, "EngineValidity")


def _recorded(run: Callable[[], None], stream: int) -> Callable[[], None]:
    """A step as a CUDA graph: one launch in place of one per kernel. The step has run before, so nothing is set up."""
    _checked(cuda.cudaStreamBeginCapture(stream, cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal))
    run()
    graph = _checked(cuda.cudaGraphInstantiate(_checked(cuda.cudaStreamEndCapture(stream)), 0))

    def launch() -> None:
        _checked(cuda.cudaGraphLaunch(graph, stream))

    return launch


def _checked(result: tuple[Any, ...]) -> Any:
    """The value of a call of the CUDA runtime. Raises `DeviceError`."""
    error, *values = result
    if error != cuda.cudaError_t.cudaSuccess:
        _, text = cuda.cudaGetErrorString(error)
        raise DeviceError(f"CUDA: {text.decode()}.", remedy="Does `nvidia-smi` list the GPU?")
    return values[0] if values else None


def _logger(trt: Any) -> Any:
    """A logger that writes to this process's log, and keeps the last error."""
    levels = {
        trt.ILogger.Severity.INTERNAL_ERROR: logging.ERROR,
        trt.ILogger.Severity.ERROR: logging.ERROR,
        trt.ILogger.Severity.WARNING: logging.WARNING,
    }

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.error = ""

        def log(self, severity: Any, message: str) -> None:
            level = levels.get(severity, logging.DEBUG)
            if level == logging.ERROR:
                self.error = message
            log.log(level, message)

    return Log()
