"""The module that uses a GPU, on stand-ins of CUDA and TensorRT for RTX that have the real ones' signatures."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bark_serving.runtimes.device import Place
from tests import rtx_on_cpu
from tests.rtx_on_cpu import Cuda, EngineInvalidityDiagnostics, EngineValidity, Runtime

MODULE = "bark_serving.runtimes.rtx_device"


@pytest.fixture
def cuda() -> Cuda:
    return Cuda(free=10_000)


@pytest.fixture
def rtx(monkeypatch: pytest.MonkeyPatch, cuda: Cuda) -> ModuleType:
    """The module, imported with stand-ins in the libraries' places."""
    for name, module in rtx_on_cpu.modules(cuda).items():
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules.pop(MODULE, None)
    module = importlib.import_module(MODULE)
    del sys.modules[MODULE]  # the next import is with the libraries that are there
    return module


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


def test_memory_is_zeroed_and_copied_both_ways(rtx: ModuleType) -> None:
    device = rtx.RtxDevice(0)
    given, got = np.arange(6, dtype=np.float32), np.empty(12, np.float32)
    address = device.allocate(48)
    device.upload(address, given)
    device.copy(address + 24, address, size=4, stride=8, count=3)
    device.download(address, got)
    assert got.tolist() == [0, 1, 2, 3, 4, 5, 0, 0, 2, 0, 4, 0]


def test_a_plan_runs_on_what_is_bound(rtx: ModuleType, plan: Path) -> None:
    device = rtx.RtxDevice(0)
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


def test_kernels_that_were_compiled_are_kept_beside_the_engines(rtx: ModuleType, plan: Path) -> None:
    device = rtx.RtxDevice(0)
    x, y = device.allocate(16), device.allocate(16)
    device.load(plan).bind({"x": Place(x, (3,)), "y": Place(y, (3,))}, profile=0, repeated=True)
    kept = plan.parents[1] / ".kernels/0123.bin"
    assert kept.read_bytes() == b"kernels" and [path.name for path in kept.parent.iterdir()] == ["0123.bin"]
    kept.write_bytes(b"of another driver")
    device.load(plan)


def test_a_tensor_that_the_plan_does_not_have_is_refused(rtx: ModuleType, plan: Path) -> None:
    with pytest.raises(rtx.DeviceError, match=r"refuses z of shape \(3,\)"):
        rtx.RtxDevice(0).load(plan).bind({"z": Place(0, (3,))}, profile=0, repeated=False)


def test_too_little_memory_says_how_much_and_what_helps(rtx: ModuleType) -> None:
    device = rtx.RtxDevice(1)
    with pytest.raises(rtx.DeviceError, match=r"GPU 1 has no 2 MB of memory left\. .*--max-batch 1"):
        device.allocate(2_000_000)


def test_an_error_of_cuda_is_told(rtx: ModuleType, cuda: Cuda) -> None:
    cuda.cudaSetDevice = lambda device: (rtx_on_cpu.cudaError_t.cudaErrorInvalidValue,)
    with pytest.raises(rtx.DeviceError, match=r"CUDA: cudaErrorInvalidValue\. .*nvidia-smi"):
        rtx.RtxDevice(0)


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
def test_a_plan_that_cannot_run_here_says_why(
    rtx: ModuleType, plan: Path, monkeypatch: pytest.MonkeyPatch, reason: str | None, said: str
) -> None:
    bits = EngineInvalidityDiagnostics[reason].value if reason else 0
    monkeypatch.setattr(Runtime, "answer", (EngineValidity.INVALID, bits))
    with pytest.raises(rtx.DeviceError, match=said):
        rtx.RtxDevice(0).load(plan)


def parameters(document: str) -> list[list[str]]:
    """The names of parameters in each signature of a pybind11 docstring, without `self`."""
    lines = re.findall(r"^(?:\d+\. )?\w+\((self: .*?)\) ->", document, re.MULTILINE)
    return [re.findall(r"(?:^|, )(\w+): ", line)[1:] for line in lines]


@pytest.mark.parametrize("stand_in", rtx_on_cpu.CLASSES, ids=lambda one: one.__name__)
def test_the_stand_ins_methods_are_tensorrts(stand_in: type) -> None:
    real = getattr(pytest.importorskip("tensorrt_rtx_bindings"), stand_in.__name__)
    own = {"plan", "names", "content", "answer", "output_shapes"}
    for name, member in vars(stand_in).items():
        if name.startswith("_") or name in own:
            continue
        assert hasattr(real, name), name
        if inspect.isfunction(member):
            given = list(inspect.signature(member).parameters)[1:]
            assert given in parameters(getattr(real, name).__doc__), name


@pytest.mark.parametrize("stand_in", rtx_on_cpu.ENUMS, ids=lambda one: one.__name__)
def test_the_stand_ins_enums_are_tensorrts(stand_in: Any) -> None:
    real = getattr(pytest.importorskip("tensorrt_rtx_bindings"), stand_in.__name__)
    assert set(stand_in.__members__) <= set(real.__members__)
    if stand_in is EngineInvalidityDiagnostics:
        assert {name: int(real.__members__[name].value) for name in stand_in.__members__} == {
            name: member.value for name, member in stand_in.__members__.items()
        }


def test_the_stand_ins_functions_are_cudas() -> None:
    real = pytest.importorskip("cuda.bindings.runtime")
    for name in [name for name in vars(Cuda) if name.startswith("cuda")]:
        given = list(inspect.signature(getattr(Cuda, name)).parameters)[1:]
        assert list(inspect.signature(getattr(real, name)).parameters) == given, name
    for stand_in in (rtx_on_cpu.cudaError_t, rtx_on_cpu.cudaMemcpyKind):
        for name, member in stand_in.__members__.items():
            assert int(getattr(getattr(real, stand_in.__name__), name)) == member, name


def test_without_a_driver_the_real_libraries_say_so() -> None:
    pytest.importorskip("cuda.bindings.runtime"), pytest.importorskip("tensorrt_rtx_bindings")
    from bark_serving.host.gpus import gpu_count
    from bark_serving.runtimes.rtx_device import DeviceError, RtxDevice

    if gpu_count():
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match=r"CUDA: .*\. Does `nvidia-smi` list the GPU"):
        RtxDevice(0)
