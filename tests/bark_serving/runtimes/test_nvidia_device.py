"""The module that uses a GPU, on stand-ins of CUDA and both TensorRTs that have the real ones' signatures."""

from __future__ import annotations

import gc
import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bark_serving.runtimes.device import Place
from tests import nvidia_on_cpu
from tests.nvidia_on_cpu import CLASSES, Cuda, EngineInvalidityDiagnostics, EngineValidity, RtxRuntime, Runtime, library
from tests.tensorrt_bindings import DOCUMENTS, WITH_CACHES, ask

MODULE = "bark_serving.runtimes.nvidia_device"
TENSORRT, RTX = CLASSES


@pytest.fixture
def cuda() -> Cuda:
    return Cuda(free=10_000)


@pytest.fixture
def nvidia(monkeypatch: pytest.MonkeyPatch, cuda: Cuda) -> ModuleType:
    """The module, imported with a stand-in in the place of CUDA."""
    for name, module in nvidia_on_cpu.modules(cuda).items():
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules.pop(MODULE, None)
    module = importlib.import_module(MODULE)
    del sys.modules[MODULE]  # the next import is with the libraries that are there
    return module


@pytest.fixture(params=[TENSORRT, RTX])
def device(request: pytest.FixtureRequest, nvidia: ModuleType) -> Any:
    """A GPU with either TensorRT."""
    return nvidia.NvidiaDevice(0, library(request.param))


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan that doubles numbers."""
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("x", "y")]
    node = helper.make_node("Add", ["x", "x"], ["y"])
    model = helper.make_model(
        helper.make_graph([node], "double", tensors[:1], tensors[1:]),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    path = tmp_path / "engines/0123/model.plan"
    path.parent.mkdir(parents=True)
    onnx.save(model, path)
    return path


def test_memory_is_zeroed_and_copied_both_ways(device: Any) -> None:
    given, got = np.arange(6, dtype=np.float32), np.empty(12, np.float32)
    address = device.allocate(48)
    device.upload(address, given)
    device.copy(address + 24, address, size=4, stride=8, count=3)
    device.download(address, got)
    assert got.tolist() == [0, 1, 2, 3, 4, 5, 0, 0, 2, 0, 4, 0]


def test_a_plan_runs_on_what_is_bound(device: Any, plan: Path) -> None:
    loaded = device.load(plan)
    x, y = device.allocate(16), device.allocate(16)
    assert loaded.output_shapes({"x": Place(x, (3,))}) == {"y": (3,)}
    for repeated in (False, True):
        step = loaded.bind({"x": Place(x, (3,)), "y": Place(y, (3,))}, profile=0, repeated=repeated)
        for number in (1, 5):
            device.upload(x, np.full(3, number, np.float32))
            step()
            got = np.empty(3, np.float32)
            device.download(y, got)
            assert got.tolist() == [2 * number] * 3


def test_a_repeated_step_of_tensorrt_is_one_launch(nvidia: ModuleType, cuda: Cuda, plan: Path) -> None:
    device = nvidia.NvidiaDevice(0, library(TENSORRT))
    x, y = device.allocate(16), device.allocate(16)
    step = device.load(plan).bind({"x": Place(x, (3,)), "y": Place(y, (3,))}, profile=0, repeated=True)
    with mock.patch.object(nvidia_on_cpu.IExecutionContext, "execute_async_v3", side_effect=AssertionError):
        device.upload(x, np.ones(3, np.float32))
        step()
    got = np.empty(3, np.float32)
    device.download(y, got)
    assert got.tolist() == [2, 2, 2]


def test_a_recorded_step_keeps_the_memory_that_it_uses(nvidia: ModuleType, plan: Path) -> None:
    def contexts() -> int:
        gc.collect()
        return sum(type(one) is nvidia_on_cpu.IExecutionContext for one in gc.get_objects())

    device, before = nvidia.NvidiaDevice(0, library(TENSORRT)), contexts()
    x, y = device.allocate(16), device.allocate(16)
    loaded = device.load(plan)
    loaded.bind({"x": Place(x, (3,)), "y": Place(y, (3,))}, profile=0, repeated=True)
    assert contexts() == before + 1


@pytest.mark.parametrize("repeated", [False, True])
def test_kernels_that_were_compiled_are_kept_beside_the_engines(nvidia: ModuleType, plan: Path, repeated: bool) -> None:
    device = nvidia.NvidiaDevice(0, library(RTX))
    x, y = device.allocate(16), device.allocate(16)
    device.load(plan).bind({"x": Place(x, (3,)), "y": Place(y, (3,))}, profile=0, repeated=repeated)()
    kept = plan.parents[1] / ".kernels/0123.bin"
    assert kept.read_bytes() == b"kernels" and [path.name for path in kept.parent.iterdir()] == ["0123.bin"]
    kept.write_bytes(b"of another driver")
    device.load(plan)


def test_a_step_that_does_not_repeat_keeps_its_kernels_once(nvidia: ModuleType, plan: Path) -> None:
    device = nvidia.NvidiaDevice(0, library(RTX))
    x, y = device.allocate(16), device.allocate(16)
    loaded, kept = device.load(plan), plan.parents[1] / ".kernels/0123.bin"
    for number in range(2):
        loaded.bind({"x": Place(x, (3,)), "y": Place(y, (3,))}, profile=0, repeated=False)()
        assert kept.exists() == (number == 0)
        kept.unlink(missing_ok=True)


def test_a_tensor_that_the_plan_does_not_have_is_refused(device: Any, nvidia: ModuleType, plan: Path) -> None:
    with pytest.raises(nvidia.DeviceError, match=r"refuses z of shape \(3,\)"):
        device.load(plan).bind({"z": Place(0, (3,))}, profile=0, repeated=False)


def test_too_little_memory_says_how_much_and_what_helps(device: Any, nvidia: ModuleType) -> None:
    with pytest.raises(nvidia.DeviceError, match=r"GPU 0 has no 2 MB of memory left\. .*--max-batch 1"):
        device.allocate(2_000_000)


def test_an_error_of_cuda_is_told(nvidia: ModuleType, cuda: Cuda) -> None:
    cuda.cudaSetDevice = lambda device: (nvidia_on_cpu.cudaError_t.cudaErrorInvalidValue,)
    with pytest.raises(nvidia.DeviceError, match=r"CUDA: cudaErrorInvalidValue\. .*nvidia-smi"):
        nvidia.NvidiaDevice(0, library(TENSORRT))


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("VERSION_MISMATCH", r"another release of TensorRT for RTX\. Build the engines again"),
        ("UNSUPPORTED_CC", r"built for other GPUs\. Build the engines again, for this GPU"),
        ("OLD_CUDA_DRIVER", r"needs a newer driver\. Update"),
        ("INSUFFICIENT_GPU_MEMORY", r"does not fit into the GPU's memory\. Free memory"),
        ("MALFORMED_ENGINE", r"is no plan of TensorRT for RTX"),
        (None, r"CUDA does not work here"),
    ],
)
def test_a_plan_that_tensorrt_for_rtx_cannot_run_here_says_why(
    nvidia: ModuleType, plan: Path, monkeypatch: pytest.MonkeyPatch, reason: str | None, said: str
) -> None:
    bits = EngineInvalidityDiagnostics[reason].value if reason else 0
    monkeypatch.setattr(RtxRuntime, "answer", (EngineValidity.INVALID, bits))
    with pytest.raises(nvidia.DeviceError, match=said):
        nvidia.NvidiaDevice(0, library(RTX)).load(plan)


def test_a_plan_that_tensorrt_refuses_is_told_in_its_words(
    nvidia: ModuleType, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Runtime, "refusal", "expecting compute 9.0 got compute 8.0")
    with pytest.raises(nvidia.DeviceError, match=r"cannot be loaded: expecting compute 9.0 got compute 8.0\. Build"):
        nvidia.NvidiaDevice(0, library(TENSORRT)).load(plan)


def parameters(document: str) -> list[list[str]]:
    """The names of parameters in each signature of a pybind11 docstring, without `self`."""
    lines = re.findall(r"^(?:\d+\. )?\w+\((self: .*?)\) ->", document, re.MULTILINE)
    return [re.findall(r"(?:^|, )(\w+): ", line)[1:] for line in lines]


def methods(stand_in: type) -> dict[str, list[str] | None]:
    """The parameters of a stand-in's methods; None for an attribute."""
    own = {"plan", "names", "content", "answer", "refusal", "logger", "engine", "output_shapes"}
    found = {name: member for kind in reversed(stand_in.__mro__[:-1]) for name, member in vars(kind).items()}
    return {
        name: list(inspect.signature(member).parameters)[1:] if inspect.isfunction(member) else None
        for name, member in found.items()
        if not name.startswith("_") and name not in own
    }


def assert_real(stand_ins: dict[str, type], enums: list[Any], documents: dict[str, str | None]) -> None:
    """Compare stand-ins with the docstrings of the real classes and enums."""
    for kind, stand_in in stand_ins.items():
        for name, given in methods(stand_in).items():
            document = documents[f"{kind}.{name}"]
            assert document is not None, f"{kind}.{name}"
            assert given is None or given in parameters(document), f"{kind}.{name}"
    for enum in enums:
        for member in enum.__members__:
            assert documents[f"{enum.__name__}.{member}"] is not None, f"{enum.__name__}.{member}"


def names_of(stand_ins: dict[str, type], enums: list[Any]) -> list[str]:
    named = [f"{kind}.{name}" for kind, stand_in in stand_ins.items() for name in methods(stand_in)]
    return named + [f"{enum.__name__}.{member}" for enum in enums for member in enum.__members__]


def test_the_stand_ins_are_like_tensorrt_for_rtx() -> None:
    trt = pytest.importorskip("tensorrt_rtx_bindings")
    scope: dict[str, Any] = {"trt": trt, "question": names_of(CLASSES[RTX], nvidia_on_cpu.ENUMS[RTX])}
    exec(DOCUMENTS, scope)  # the program that other processes run
    assert_real(CLASSES[RTX], nvidia_on_cpu.ENUMS[RTX], scope["answer"])
    for member in EngineInvalidityDiagnostics:
        assert int(getattr(trt.EngineInvalidityDiagnostics, member.name).value) == member.value


@pytest.mark.slow  # the bindings are installed
@pytest.mark.parametrize("release", WITH_CACHES)
def test_the_stand_ins_are_like_tensorrt(release: str) -> None:
    stand_ins, enums = CLASSES[TENSORRT], nvidia_on_cpu.ENUMS[TENSORRT]
    assert_real(stand_ins, enums, ask(release, DOCUMENTS, names_of(stand_ins, enums)))
    assert ask(release, DOCUMENTS, ["EngineValidity"]) == {"EngineValidity": None}  # it tells the two apart


def test_a_method_that_tensorrt_does_not_have_is_noticed() -> None:
    documents: dict[str, str | None] = dict.fromkeys(
        names_of(CLASSES[TENSORRT], []), "f(self: trt.X, other: int) -> bool"
    )
    with pytest.raises(AssertionError, match=r"Runtime\.deserialize_cuda_engine"):
        assert_real(CLASSES[TENSORRT], [], documents)


def test_the_stand_ins_functions_are_cudas() -> None:
    real = pytest.importorskip("cuda.bindings.runtime")
    for name in [name for name in vars(Cuda) if name.startswith("cuda")]:
        given = list(inspect.signature(getattr(Cuda, name)).parameters)[1:]
        assert list(inspect.signature(getattr(real, name)).parameters) == given, name
    for stand_in in nvidia_on_cpu.CUDA_ENUMS:
        for name, member in stand_in.__members__.items():
            assert int(getattr(getattr(real, stand_in.__name__), name)) == member, name


def test_without_a_driver_the_real_libraries_say_so() -> None:
    pytest.importorskip("cuda.bindings.runtime")
    trt = pytest.importorskip("tensorrt_rtx_bindings")
    from bark_serving.host.gpus import gpu_count
    from bark_serving.runtimes.nvidia_device import DeviceError, NvidiaDevice

    if gpu_count():
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match=r"CUDA: .*\. Does `nvidia-smi` list the GPU"):
        NvidiaDevice(0, trt)
