"""`bark-build tiny` and `bark-build import` as users run them. A local server stands for the hub."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from typer.testing import CliRunner, Result

from bark_serving.bundle import Bundle
from build_engines.checkpoints.importer import Request, import_bundle
from build_engines.cli import app
from tests.build_engines.checkpoints import formats, hub

ROOT = Path(__file__).parents[3]


def bark_build(*arguments: str | Path, endpoint: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in its own process, with an empty cache and the hub at `endpoint`."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "huggingface"),
        "OMP_NUM_THREADS": "1",
    }
    for variable in ("HF_HUB_OFFLINE", "HF_TOKEN", "HF_HUB_CACHE"):
        environment.pop(variable, None)
    command = [sys.executable, "-c", "from build_engines.cli import app; app()", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False, cwd=home)


def run_here(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def local_hub(repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hub's client of this process talks to `repositories` and caches in `tmp_path`."""
    with hub.serve(repositories) as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield


@pytest.fixture(scope="module")
def repositories(
    tmp_path_factory: pytest.TempPathFactory, bark_folder: Path, suno_folder: Path, vocabulary: Path
) -> Path:
    """The hub's repositories: suno/bark with both formats, HuBERT, and its token heads."""
    root = tmp_path_factory.mktemp("hub")
    bark = root / "suno" / "bark"
    shutil.copytree(bark_folder, bark)
    shutil.copytree(suno_folder, bark, dirs_exist_ok=True)
    (bark / "README.md").write_text("not needed")
    formats.hubert_model().save_pretrained(root / "facebook" / "hubert-base-ls960")
    heads = root / "GitMylo" / "bark-voice-cloning"
    heads.mkdir(parents=True)
    formats.save_token_head(heads / "quantifier_hubert_base_ls960_14.pth", version=0)
    formats.save_token_head(heads / "quantifier_V1_hubert_base_ls960_23.pth", version=1)
    return root


def test_tiny_makes_a_bundle_and_does_not_make_it_twice(tmp_path: Path, tiny_bundle: Bundle) -> None:
    out = tmp_path / "here"
    done = run_here("tiny", str(out))
    assert done.exit_code == 0, done.stderr
    assert Bundle(out).hash == tiny_bundle.hash
    assert f"bark-tiny in {out}" in done.stderr
    again = run_here("tiny", str(out))
    assert again.exit_code == 1
    assert f"error: {out} exists." in again.stderr
    assert "--force" in again.stderr


@pytest.mark.parametrize("command", ["tiny", "import"])
def test_the_help_has_an_example(command: str) -> None:
    done = run_here(command, "--help")
    assert done.exit_code == 0
    assert f"bark-build {command} " in done.stdout


def test_unknown_values_are_usage_errors() -> None:
    assert run_here("tiny", "--size", "huge").exit_code == 2
    assert run_here("import").exit_code == 2


def test_an_import_from_the_hub_fetches_only_the_needed_files(
    repositories: Path, bark_folder: Path, tmp_path: Path
) -> None:
    head = "GitMylo/bark-voice-cloning:quantifier_hubert_base_ls960_14.pth"
    with hub.serve(repositories) as server:
        options = ["--hubert", "facebook/hubert-base-ls960", "--hubert-head", head, "--hubert-layer", "2"]
        done = bark_build("import", "suno/bark", "bundle", *options, endpoint=server.url, home=tmp_path)
    assert done.returncode == 0, done.stderr
    bundle = Bundle(tmp_path / "bundle")
    local = import_bundle(Request(str(bark_folder)), tmp_path / "local")
    for name, digest in local.spec.files.items():
        assert bundle.spec.files[name] == digest, name
    assert bundle.spec.name == "bark"
    assert bundle.spec.hubert is not None
    assert "suno/bark/model.safetensors" in [source.file for source in bundle.spec.sources]
    assert sorted(server.fetched) == [
        "config.json",
        "config.json",
        *(f"en_speaker_6_{array}.npy" for array in ("coarse_prompt", "fine_prompt", "semantic_prompt")),
        "generation_config.json",
        "model.safetensors",
        "model.safetensors",
        "quantifier_hubert_base_ls960_14.pth",
        "vocab.txt",
    ]


def test_sunos_files_are_fetched_from_the_same_repository_at_a_revision(repositories: Path, tmp_path: Path) -> None:
    with hub.serve(repositories) as server:
        options = ["--format", "suno", "--no-voices", "--revision", "v1", "--name", "mine"]
        done = bark_build("import", "suno/bark", "bundle", *options, endpoint=server.url, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Bundle(tmp_path / "bundle").spec.name == "mine"
    assert {"text_2.pt", "encodec_24khz-test.th"} <= set(server.fetched)
    assert "model.safetensors" not in server.fetched
    assert "Voice cloning will not be available" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["suno/bork"], "suno/bork is not on the hub"),
        (["suno/bark", "--revision", "v9"], "suno/bark at revision v9 is not on the hub"),
        (["suno/bark:nothing.pt"], "suno/bark:nothing.pt holds no Bark checkpoint"),
        (
            ["suno/bark", "--hubert", "facebook/hubert-base-ls960", "--hubert-head", "GitMylo/bark-voice-cloning"],
            "GitMylo/bark-voice-cloning has 2 files that end in .pth or .pt, expected one. "
            "Name the file: --hubert-head GitMylo/bark-voice-cloning:FILE",
        ),
    ],
)
@pytest.mark.usefixtures("local_hub")
def test_what_the_hub_does_not_have_is_a_one_line_error(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run_here("import", arguments[0], str(tmp_path / "bundle"), *arguments[1:])
    assert done.exit_code == 1
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "bundle").exists()


def test_without_a_network_a_name_of_the_hub_is_an_immediate_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    began = time.monotonic()
    done = run_here("import", "suno/bark", str(tmp_path / "bundle"))
    assert time.monotonic() - began < 10  # the hub's own client tries for 25 s
    assert done.exit_code == 1
    assert "there is no folder suno/bark here, and it could not be fetched from the hub" in done.stderr
    assert "HF_ENDPOINT" in done.stderr
