"""Finding tritonserver: the wheel's on a laptop, the container's own in NVIDIA's images, each taken as it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bark_serving.server import ServerSettings, binary, process, triton_run
from bark_serving.server.errors import TritonMissing


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder ``/opt/tritonserver`` of a container, its binary on PATH."""
    root = tmp_path / "opt/tritonserver"
    for folder in ("bin", "backends/python", "backends/tensorrtllm"):
        (root / folder).mkdir(parents=True)
    (root / "bin/tritonserver").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return root


def settings(folder: Path, *, gpu: bool = True) -> ServerSettings:
    return ServerSettings(repository=folder, folder=folder, gpu=gpu)


def test_with_a_gpu_the_server_of_the_container_goes_first(container: Path, tmp_path: Path) -> None:
    assert binary.find(settings(tmp_path)) == binary.Triton(container / "bin/tritonserver", wheel=False)


def test_without_a_gpu_the_wheel_s_server_goes_first(container: Path, tmp_path: Path) -> None:
    assert binary.find(settings(tmp_path, gpu=False)).wheel


def test_without_the_wheel_the_server_on_the_path_serves_any_profile(
    container: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary, "_in_wheel", lambda: None)
    assert binary.find(settings(tmp_path, gpu=False)).binary == container / "bin/tritonserver"


def test_a_container_keeps_its_backends_its_numpy_and_its_library_path(
    container: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = binary.find(settings(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/usr/local/cuda/compat/lib")

    binary.check_interpreter(found, numpy="2.3.0")
    assert binary.backends(found, folder=tmp_path / "links") == container / "backends"
    assert not (tmp_path / "links").exists()
    environment = binary.environment(found)
    assert environment["LD_LIBRARY_PATH"] == "/usr/local/cuda/compat/lib"
    assert environment["PATH"].startswith(f"{Path(sys.executable).parent}{os.pathsep}")


def model(repository: Path, name: str, backend: str) -> None:
    (repository / name).mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(f'name: "{name}"\nbackend: "{backend}"\n')


def test_a_server_without_a_backend_of_the_repository_is_refused(container: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    model(repository, "bark", "python")
    model(repository, "semantic", "tensorrtllm")
    found = binary.find(settings(tmp_path))
    binary.check_backends(found, binary.backends_of(repository))

    model(repository, "fine", "tensorrt")
    with pytest.raises(TritonMissing, match=r"has no tensorrt backend .*Dockerfile\.trtllm"):
        binary.check_backends(found, binary.backends_of(repository))
    (container / "backends/tensorrt").mkdir()
    binary.check_backends(found, binary.backends_of(repository))


def test_a_server_without_a_folder_of_backends_is_not_checked(container: Path, tmp_path: Path) -> None:
    (container / "backends").rename(container / "elsewhere")
    model(tmp_path / "repository", "fine", "tensorrt")
    binary.check_backends(binary.find(settings(tmp_path)), binary.backends_of(tmp_path / "repository"))


def test_the_wheel_s_server_refuses_what_is_not_python(tmp_path: Path) -> None:
    found = binary.find(settings(tmp_path, gpu=False))
    model(tmp_path / "repository", "bark", "python")
    binary.check_backends(found, binary.backends_of(tmp_path / "repository"))
    model(tmp_path / "repository", "fine", "tensorrt")
    with pytest.raises(TritonMissing, match="has no tensorrt backend"):
        binary.check_backends(found, binary.backends_of(tmp_path / "repository"))


def test_a_server_checks_backends_before_it_starts(
    container: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "launch", lambda *_, **__: pytest.fail("Triton was started"))
    model(tmp_path / "repository", "bark", "tensorrt")
    wanted = ServerSettings(repository=tmp_path / "repository", folder=tmp_path / "server", gpu=True)
    with pytest.raises(TritonMissing, match="has no tensorrt backend"), triton_run.running(wanted):
        pytest.fail("a server was entered")


def test_the_wheel_s_server_refuses_numpy_2(tmp_path: Path) -> None:
    with pytest.raises(TritonMissing, match=r"NumPy 2\.3\.0.*corrupts tensors"):
        binary.check_interpreter(binary.find(settings(tmp_path, gpu=False)), numpy="2.3.0")
