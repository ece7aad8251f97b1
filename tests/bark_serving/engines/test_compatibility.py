"""Which engine runs on which machine, and how the driver is asked what the machine has."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from bark_serving.bundle import Bundle
from bark_serving.engines import compatibility
from bark_serving.engines.compatibility import Host, incompatibility
from bark_serving.engines.manifest import Manifest
from bark_serving.engines.store import EngineMismatch, EngineStore
from bark_serving.host import gpus
from bark_serving.spec import Spec

A100 = Host(architectures=["sm80"], versions={"tensorrt": "10.11.0.33", "tensorrt_llm": "1.0.0"})
PLAN = {"tensorrt": "10.11.0.33", "torch": "2.13.0"}


@pytest.mark.parametrize(
    ("architecture", "versions", "host"),
    [
        ("sm80", PLAN, A100),
        ("sm80+sm90", PLAN, A100),
        ("sm80", {"tensorrt": "10.11.0"}, A100),  # the library itself knows three numbers of its version only
        ("sm80", PLAN, Host(architectures=["sm80"])),  # TensorRT is not here to compare with
        ("sm90", PLAN, Host()),  # nor is a GPU
        ("any", {"onnxruntime": "1.32.0"}, Host(architectures=["sm80"], versions={"onnxruntime": "1.32.1"})),
        ("sm80+sm90", PLAN, Host(architectures=["sm80", "sm90"])),
    ],
)
def test_an_engine_fits(architecture: str, versions: Mapping[str, str], host: Host) -> None:
    assert incompatibility(architecture=architecture, versions=versions, host=host) is None


@pytest.mark.parametrize(
    ("architecture", "versions", "host", "why"),
    [
        ("sm90", PLAN, A100, "was built for sm90, the GPU here is sm80"),
        ("sm86+sm90", PLAN, A100, "was built for sm86 and sm90, the GPU here is sm80"),
        ("sm80", PLAN, Host(architectures=["sm80", "sm90"]), "was built for sm80, the GPU here is sm90"),
        ("sm80", {"tensorrt": "10.14.1.48"}, A100, "was made for TensorRT 10.14.1.48, here is 10.11.0.33"),
        ("sm80", {"tensorrt_llm": "1.2.1"}, A100, "was made for TensorRT-LLM 1.2.1, here is 1.0.0"),
        ("any", {"onnxruntime": "1.31.0"}, Host(versions={"onnxruntime": "1.32.0"}), "was made for ONNX Runtime"),
        ("sm80", {"tensorrt_rtx": "1.7.1.116"}, A100, "TensorRT for RTX 1.7.1.116, whose plans TensorRT does not load"),
    ],
)
def test_an_engine_does_not_fit_and_why(architecture: str, versions: Mapping[str, str], host: Host, why: str) -> None:
    assert why in (incompatibility(architecture=architecture, versions=versions, host=host) or "")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "spec.json").write_text(Spec(name="one").model_dump_json())
    return Bundle(folder)


def published(store: EngineStore, bundle: Bundle, *, architecture: str, tensorrt: str = "10.11.0.33") -> Path:
    manifest = Manifest(
        stage="fine",
        profile="tensorrt",
        precision="fp16",
        bundle=bundle.hash,
        bundle_name=bundle.spec.name,
        architecture=architecture,
        versions={"tensorrt": tensorrt},
        builder="test",
        inputs={},
        outputs={},
    )
    return store.publish(manifest, lambda folder: (folder / "model.plan").touch()).folder


def find(store: EngineStore, bundle: Bundle, host: Host) -> Path:
    return store.find(bundle, stage="fine", profile="tensorrt", precision="fp16", host=host).folder


def test_of_several_architectures_the_machines_own_is_found(tmp_path: Path, bundle: Bundle) -> None:
    store = EngineStore(tmp_path / "engines")
    own = published(store, bundle, architecture="sm80")
    published(store, bundle, architecture="sm90")
    assert find(store, bundle, A100) == own


def test_an_engine_of_another_gpu_is_refused_with_the_command(tmp_path: Path, bundle: Bundle) -> None:
    store = EngineStore(tmp_path / "engines")
    published(store, bundle, architecture="sm90")
    command = f"bark-build engines --profile tensorrt --gpu sm80 --bundle {bundle.folder} --stage fine --precision fp16"
    with pytest.raises(EngineMismatch, match="was built for sm90, the GPU here is sm80") as caught:
        find(store, bundle, A100)
    assert f"Run `{command} --engines {store.root}`." == caught.value.remedy
    published(store, bundle, architecture="sm80", tensorrt="10.14.1.48")
    with pytest.raises(EngineMismatch, match=r"was made for TensorRT 10\.14\.1\.48, here is 10\.11\.0\.33"):
        find(store, bundle, A100)


def test_without_a_gpu_only_an_unambiguous_architecture_is_taken(tmp_path: Path, bundle: Bundle) -> None:
    store = EngineStore(tmp_path / "engines")
    own = published(store, bundle, architecture="sm90")
    assert find(store, bundle, Host()) == own
    published(store, bundle, architecture="sm80")
    with pytest.raises(EngineMismatch, match=r"for sm80 and for sm90.*--gpu-architecture sm90"):
        find(store, bundle, Host())


MakeLibrary = Callable[[str, str], Path]


@pytest.fixture
def made(tmp_path: Path) -> MakeLibrary:
    """Compiles a stand-in for one of NVIDIA's libraries."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")

    def make(name: str, source: str) -> Path:
        path = tmp_path / name
        subprocess.run([compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", path], input=source, text=True, check=True)
        return path

    return make


DRIVER = """
static int capabilities[][2] = {%s};
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) { *count = sizeof capabilities / sizeof *capabilities; return 0; }
int cuDeviceGet(int *device, int number) { *device = 100 + number; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    if (attribute != 75 && attribute != 76) return 1;
    *value = capabilities[device - 100][attribute - 75];
    return 0;
}
"""


@pytest.mark.parametrize(
    ("capabilities", "wanted", "expected"),
    [
        ("{9, 0}", None, ["sm90"]),
        ("{8, 0}, {8, 0}", None, ["sm80"]),
        ("{12, 0}, {8, 6}, {9, 0}", None, ["sm86", "sm90", "sm120"]),
        ("{12, 0}, {8, 6}, {9, 0}", [1], ["sm86"]),
        ("{8, 9}", [0, 5], ["sm89"]),
    ],
)
def test_the_driver_says_what_the_gpus_are(
    made: MakeLibrary,
    monkeypatch: pytest.MonkeyPatch,
    capabilities: str,
    wanted: Sequence[int] | None,
    expected: Sequence[str],
) -> None:
    monkeypatch.setattr(gpus, "DRIVER", str(made("libcuda.so", DRIVER % capabilities)))
    assert gpus.architectures(wanted) == expected


def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "DRIVER", "libcuda-is-not-here.so.1")
    assert gpus.architectures() == []


@pytest.mark.parametrize(("number", "version"), [(101_100, "10.11.0"), (101_401, "10.14.1"), (110_400, "11.4.0")])
def test_tensorrt_is_known_by_its_library_where_its_package_is_not(
    made: MakeLibrary, monkeypatch: pytest.MonkeyPatch, number: int, version: str
) -> None:
    library = made("libnvinfer.so.10", f"int getInferLibVersion(void) {{ return {number}; }}")
    monkeypatch.setattr(compatibility, "_TENSORRT_LIBRARIES", ("libnvinfer-is-not-here.so", str(library)))
    assert compatibility.this_host().versions["tensorrt"] == version


def test_this_machine_has_onnx_runtime() -> None:
    assert compatibility.this_host().versions["onnxruntime"].startswith("1.")
