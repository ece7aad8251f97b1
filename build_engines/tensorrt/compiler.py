"""An ONNX graph to a TensorRT plan: one builder for TensorRT and TensorRT for RTX.

Always strongly typed: the graph fixes the precision of every tensor and the compiler may not choose another. Newer
releases have no other mode; older ones need a flag. TF32 is cleared, because it changes decisions between codes.
"""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bark_serving.engines.manifest import TensorInfo
from build_engines.errors import BuildError
from build_engines.export.graphs import Axes
from build_engines.tensorrt.library import Library
from build_engines.tensorrt.shapes import Extents, Shapes, extents, optimization_profiles

OnProgress = Callable[[str, int, int], None]  #: phase, steps done, steps in all
CheckNetwork = Callable[[Any, Any], None]  #: TensorRT's module and the parsed network; raises `BuildError`

#: A manifest's types → TensorRT's.
_TYPES = {"float32": "FLOAT", "float16": "HALF", "bfloat16": "BF16", "int32": "INT32", "int64": "INT64"}
_ACTIVATIONS = re.compile(r"Total Activation Memory: (\d+)")
_WEIGHTS = re.compile(r"Total Weights Memory: (\d+)")
_KERNEL = re.compile(r"^Name: (.+?), LayerType: ", re.MULTILINE)


@dataclass(frozen=True)
class Plan:
    """A serialized engine and what building it reported."""

    data: memoryview
    seconds: float  #: spent in the parser and the compiler
    activations: int | None  #: bytes of device memory one execution context takes; None when the log does not say
    weights: int | None  #: bytes of device memory that the weights take; None when the log does not say
    kernels: Sequence[str]  #: names of what the plan runs, of all its profiles; empty when the log does not say


def build(
    graph: Path,
    *,
    library: Library,
    inputs: Axes,
    outputs: Axes,
    shapes: Shapes,
    architectures: Sequence[str] = (),
    on_progress: OnProgress = lambda phase, done, total: None,
    check_network: CheckNetwork = lambda trt, network: None,
) -> Plan:
    """Compile the ONNX file `graph` for `architectures` (``sm80`` …).

    TensorRT compiles for the GPU it runs on and takes no architectures; TensorRT for RTX needs none of them present.
    Raises `BuildError` with what TensorRT said when the parser or the compiler refuses, when the parsed network has
    other inputs or outputs than declared, or when `check_network` refuses it.
    """
    trt, started = library.api, time.monotonic()
    log = make_logger(trt)
    builder = trt.Builder(log)
    network = builder.create_network(network_flags(trt))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(graph)):
        said = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise BuildError(f"The ONNX parser of {library.title} refuses {graph}: {said}.")
    _check_tensors(trt, [network.get_input(i) for i in range(network.num_inputs)], inputs, what="input")
    _check_tensors(trt, [network.get_output(i) for i in range(network.num_outputs)], outputs, what="output")
    check_network(trt, network)
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    for ranges in optimization_profiles(shapes):
        _add_profile(builder, config, extents(inputs, ranges))
    if architectures:
        _set_architectures(trt, config, architectures)
    monitor = make_monitor(trt, on_progress)
    config.progress_monitor = monitor
    with _interrupting(monitor):
        data = builder.build_serialized_network(network, config)
    if monitor.interrupted:
        raise KeyboardInterrupt
    if data is None:
        raise BuildError(f"{library.title} cannot compile {graph}: {' '.join(log.errors) or 'it does not say why'}.")
    return Plan(
        data=memoryview(data),
        seconds=time.monotonic() - started,
        activations=log.activations,
        weights=log.weights,
        kernels=log.kernels,
    )


@contextmanager
def _interrupting(monitor: Any) -> Iterator[None]:
    """Let Ctrl-C end the build at its next step: TensorRT swallows exceptions that its callbacks raise."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: monitor.interrupt())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def network_flags(trt: Any) -> int:
    """Release 10 makes weakly typed networks without this flag. Later it has no effect, or is gone."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _add_profile(builder: Any, config: Any, shapes: Extents) -> None:
    profile = builder.create_optimization_profile()
    for name, (smallest, usual, largest) in shapes.items():
        profile.set_shape(name, smallest, usual, largest)
    if config.add_optimization_profile(profile) < 0:
        raise BuildError(f"TensorRT refuses the shapes {shapes}.")


def _set_architectures(trt: Any, config: Any, architectures: Sequence[str]) -> None:
    config.num_compute_capabilities = len(architectures)
    for index, name in enumerate(architectures):
        if not config.set_compute_capability(getattr(trt.ComputeCapability, name.upper()), index):
            raise BuildError(f"TensorRT refuses to build for {name}.")


def _check_tensors(trt: Any, tensors: Sequence[Any], declared: Axes, *, what: str) -> None:
    """Compare names, types and shapes of the parsed network with the declaration. -1: a free axis."""
    found = {tensor.name: (tensor.dtype, tuple(tensor.shape)) for tensor in tensors}
    expected = {name: (tensorrt_type(trt, info), _dims(info)) for name, info in declared.items()}
    if found != expected:
        raise BuildError(f"TensorRT read the {what}s as {found}, {expected} are declared.")


def tensorrt_type(trt: Any, info: TensorInfo) -> Any:
    return getattr(trt.DataType, _TYPES[info.dtype])


def _dims(info: TensorInfo) -> tuple[int, ...]:
    return tuple(-1 if isinstance(axis, str) else axis for axis in info.axes)


def make_logger(trt: Any) -> Any:
    """A logger that keeps the errors, and what no API gives without a GPU: memory, and the kernels' names."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []
            self.activations: int | None = None
            self.weights: int | None = None
            self.kernels: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(message)
            elif match := _ACTIVATIONS.search(message):  # once per optimization profile
                self.activations = max(self.activations or 0, int(match[1]))
            elif match := _WEIGHTS.search(message):
                self.weights = int(match[1])
            elif message.startswith("Layers:"):
                self.kernels += _KERNEL.findall(message)

    return Log()


def make_monitor(trt: Any, on_progress: OnProgress) -> Any:
    """Reports the progress of the outermost phase, and ends the build once it is interrupted."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.interrupted = False
            self.totals: dict[str, int] = {}

        def interrupt(self) -> None:
            self.interrupted = True

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            if parent is None:
                self.totals[phase] = steps

        def step_complete(self, phase: str, step: int) -> bool:
            if phase in self.totals:
                on_progress(phase, step + 1, self.totals[phase])
            return not self.interrupted

        def phase_finish(self, phase: str) -> None:
            self.totals.pop(phase, None)

    return Monitor()
