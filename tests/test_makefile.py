"""`make demo`, `make serve` and `make clean`, with stand-ins for the programs that print their arguments."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = ("bark_serving", "build_engines", "benchmarks", "bark_gateway", "bark_batch", "client")


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment that looks complete to make."""
    (tmp_path / "bin").mkdir()
    for program in ("bark", "bark-build", "bark-serve"):
        path = tmp_path / "bin" / program
        path.write_text('#!/bin/sh\nprintf "%s" "${0##*/}"; printf " <%s>" "$@"; echo\n')
        path.chmod(0o755)
    makefile = (ROOT / "Makefile").read_text()
    torch = next(line.split()[-1] for line in makefile.splitlines() if line.startswith("TORCH :="))
    for stamp in (
        ".ready-python",
        f".ready-torch-{torch}",
        ".ready-client",
        ".ready-kernels",
        ".ready-build",
        ".ready-gateway",
    ):
        (tmp_path / stamp).touch()
    return tmp_path


def demo(environment: Path, *variables: str) -> list[str]:
    command = ["make", "--directory", str(ROOT), "demo", f"VENV={environment}", *variables]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("text", ["It costs $20.", "$(shell id)", "\"Quoted\" and 'quoted'; # and more"])
def test_a_text_is_spoken_as_it_is_given(environment: Path, text: str) -> None:
    said = demo(environment, f"TEXT={text}")
    assert any(line.startswith(f"bark <say> <{text}> <--url>") for line in said), said


@pytest.mark.parametrize(
    ("checkpoint", "bundle"),
    [
        ("suno/bark-tiny", "build/bundles/suno-bark-tiny"),
        ("/no/such/suno/", "build/bundles/no-such-suno"),
        ("/no/other/suno", "build/bundles/no-other-suno"),
        ("my folder", "build/bundles/my-folder"),
        ("/my folder/of checkpoints/", "build/bundles/my-folder-of-checkpoints"),
        ("it's $(shell id) $HOME; #1", "build/bundles/it's-$(shell-id)-$HOME;-#1"),
    ],
)
def test_each_checkpoint_has_a_bundle_of_its_own(environment: Path, checkpoint: str, bundle: str) -> None:
    said = demo(environment, f"CHECKPOINT={checkpoint}")
    assert f"bark-build <import> <--if-changed> <{checkpoint}> <{bundle}>" in said
    assert f"bark-build <engines> <--profile> <cpu> <--bundle> <{bundle}> <--precision> <int8>" in said


def test_a_checkpoint_may_be_imported_without_the_demo(environment: Path) -> None:
    command = ["make", "--directory", str(ROOT), "import-checkpoint", f"VENV={environment}", "CHECKPOINT=my folder"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "bark-build <import> <--if-changed> <my folder> <build/bundles/my-folder>" in said


def test_import_args_are_passed_to_the_importer(environment: Path) -> None:
    said = demo(environment, "CHECKPOINT=bark_v0", "IMPORT_ARGS=--encodec e.th --tokenizer vocab.txt")
    called = "bark-build <import> <--if-changed> <bark_v0> <build/bundles/bark_v0> <--encodec> <e.th>"
    assert f"{called} <--tokenizer> <vocab.txt>" in said


@pytest.mark.parametrize("status", [1, 3])
def test_a_demo_goes_on_without_voices_that_were_left_out(environment: Path, status: int) -> None:
    program = environment / "bin" / "bark-build"
    program.write_text(f'#!/bin/sh\n[ "$1" != import ] || exit {status}\n')
    if status == 1:
        with pytest.raises(subprocess.CalledProcessError):
            demo(environment, "CHECKPOINT=bark_v0")
    else:
        assert any(line.startswith("bark <say>") for line in demo(environment, "CHECKPOINT=bark_v0"))


@pytest.mark.parametrize(("minor", "refused"), [(10, True), (11, False), (12, False), (13, True), (14, True)])
def test_a_python_that_the_pins_do_not_support_is_refused_in_words(tmp_path: Path, minor: int, refused: bool) -> None:
    """A stand-in for Python says that it is 3.x and runs what it gets with that version; `-m venv` makes a folder."""
    python = tmp_path / "python"
    python.write_text(
        f"#!/bin/sh\ncase $1 in\n--version) echo Python 3.{minor}.1;;\n-m) mkdir -p $3;;\n"
        f"-c) exec {sys.executable} -c \"import sys; sys.version_info = (3, {minor}, 1, 'final', 0); $2\";;\nesac\n"
    )
    python.chmod(0o755)
    stamp = tmp_path / "venv/.ready-python"
    command = ["make", "--directory", str(ROOT), str(stamp), f"VENV={tmp_path / 'venv'}", f"PYTHON={python}"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (made.returncode != 0, stamp.exists()) == (refused, not refused)
    assert (f"is Python 3.{minor}.1. Python 3.11 or 3.12 is needed" in made.stdout) == refused


def test_a_bundles_folder_may_hold_blanks(environment: Path) -> None:
    said = demo(environment, "BUNDLE=my own bundle")
    assert any("<--bundle> <my own bundle>" in line for line in said if line.startswith("bark-serve <up>"))


def test_the_demo_has_a_fixed_seed_that_a_variable_changes(environment: Path) -> None:
    default = next(line.split()[-1] for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("SEED"))
    assert any(f"<--seed> <{default}>" in line for line in demo(environment))
    assert any("<--seed> <5>" in line for line in demo(environment, "SEED=5"))
    assert not any("<--seed>" in line for line in demo(environment, "SEED="))


def test_without_a_checkpoint_the_miniature_speaks(environment: Path) -> None:
    said = demo(environment)
    assert "bark-build <engines> <--profile> <cpu> <--bundle> <miniature> <--precision> <int8>" in said
    assert not any("<import>" in line for line in said)


def test_make_serve_runs_a_server_with_a_gateway(environment: Path) -> None:
    command = ["make", "--directory", str(ROOT), "serve", f"VENV={environment}", "BUNDLE=my own bundle"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    (line,) = [line for line in said if line.startswith("bark-serve")]
    assert line.startswith("bark-serve <up> <--build> <--gateway>") and "<--bundle> <my own bundle>" in line


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile and what users and `make` leave there."""
    folder = tmp_path / "my checkout"
    for name in ("voices/codec-0", "miniature", "bundles/bark", "engines/0", "repository/serve", "mine"):
        (folder / "build" / name).mkdir(parents=True)
        (folder / "build" / name / "file").touch()
    (folder / "out.wav").touch()
    shutil.copy(ROOT / "Makefile", folder)
    return folder


def clean(checkout: Path, environment: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "clean", f"VENV={environment}"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


def folders(checkout: Path) -> list[str]:
    return sorted(path.name for path in (checkout / "build").iterdir())


def test_cleaning_keeps_voices_training_and_what_it_does_not_know(checkout: Path, environment: Path) -> None:
    assert clean(checkout, environment).returncode == 0
    assert folders(checkout) == ["mine", "miniature", "voices"]
    assert (checkout / "build/voices/codec-0/file").exists() and not (checkout / "out.wav").exists()
    for name in folders(checkout):
        shutil.rmtree(checkout / "build" / name)
    for _ in range(2):
        assert clean(checkout, environment).returncode == 0
        assert not (checkout / "build").exists()


def test_cleaning_stops_the_servers_that_make_starts_first(checkout: Path, environment: Path) -> None:
    program = environment / "bin/bark-serve"
    program.write_text(f'#!/bin/sh\necho "$@" "$(ls "{checkout}/build/repository")"\n')
    said = clean(checkout, environment).stdout.splitlines()
    assert said == ["down --name demo serve", "down --name serve serve"]
    program.write_text("#!/bin/sh\nexit 1\n")
    (checkout / "build/repository").mkdir()
    assert clean(checkout, environment).returncode != 0
    assert "repository" in folders(checkout), "a server may still run"


@pytest.mark.parametrize(("where", "stays"), [("{checkout}/build/repository/bark", True), ("/srv/build/bark", False)])
def test_cleaning_leaves_the_files_of_another_server_that_runs_from_them(
    checkout: Path, environment: Path, where: str, stays: bool
) -> None:
    servers = json.dumps([{"name": "bark", "repository": where.format(checkout=checkout)}])
    program = environment / "bin/bark-serve"
    program.write_text(f"#!/bin/sh\n[ $1 = down ] && exit\necho '{servers}'\nexit 1\n")  # 1: it is not ready
    cleaned = clean(checkout, environment)
    assert (cleaned.returncode != 0, "repository" in folders(checkout)) == (stays, stays)
    assert (f"Stop it first: {environment}/bin/bark-serve down --all" in cleaned.stdout) == stays


def test_each_folder_that_a_program_makes_in_build_is_removed_or_kept_by_name() -> None:
    sources = [path for folder in PROGRAMS for path in (ROOT / folder).rglob("*.py")]
    named = {name for path in sources for name in re.findall(r"""["' /]build/([a-z-]+)""", path.read_text())}
    made = re.search(r"^MADE := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert made is not None and named - {"voices", "miniature"} <= set(made[1].split())
