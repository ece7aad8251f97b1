"""Rendering: what the templates are given, what is left out, and that a repository appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.engines.kernels import instruction_set
from bark_serving.engines.manifest import Manifest
from bark_serving.engines.quick_sums import quick_sum
from bark_serving.engines.served_files import bundle_files, engine_files
from bark_serving.engines.store import Engine, EngineError, EngineStore, StoreError
from bark_serving.profiles import TABLE
from bark_serving.server import ServerError
from bark_serving.server.gpu_check import PLAN_PROFILES
from bark_serving.server.render_settings import RenderSettings, check_installed, usable_gpus
from bark_serving.server.repository import (
    Rendered,
    read_rendered,
    render_from,
    templates_folder,
    uses_gpu,
    voice_store_of,
)
from bark_serving.spec import Spec
from build_engines.tensorrt.shapes import shapes


def bundle_in(folder: Path, *, hubert: bool = True, codec: str | None = None) -> Bundle:
    folder.mkdir()
    spec = Spec(name="test") if hubert else Spec(name="test", hubert=None)
    spec = spec.model_copy(update={"files": {"encodec.safetensors": codec} if codec else {}})
    (folder / "spec.json").write_text(spec.model_dump_json())
    return Bundle(folder)


def templates_in(folder: Path, **texts: str) -> Path:
    for model, text in texts.items():
        (folder / model / "1/__pycache__").mkdir(parents=True)
        (folder / model / "1/__pycache__/model.pyc").touch()
        (folder / model / "config.pbtxt.j2").write_text(text)
        (folder / model / "1/model.py").write_text(f"# {model}\n")
    return folder


def manifest_of(bundle: Bundle, **fields: object) -> Manifest:
    """The manifest of an engine that fits this machine."""
    import onnxruntime

    values: dict[str, object] = {
        "stage": "coarse",
        "profile": "cpu",
        "precision": "int8",
        "bundle": bundle.hash,
        "bundle_name": bundle.spec.name,
        "versions": {"onnxruntime": onnxruntime.__version__},
        "builder": "test",
        "inputs": {},
        "outputs": {},
    }
    return Manifest.model_validate(values | fields)


def engine_in(root: Path, bundle: Bundle, *, stage: str, precision: str, file: str = "model.onnx") -> Path:
    """A folder that is an engine to the store, but for its empty graph or packed weights."""
    manifest = manifest_of(bundle, stage=stage, precision=precision)
    return EngineStore(root).publish(manifest, lambda folder: (folder / file).touch()).folder


def rendered(tmp_path: Path, templates: Path, *, output: Path | None = None, **settings: Any) -> Path:
    """A repository of these templates, of a bundle and a store of engines under `tmp_path`."""
    if "bundle" not in settings and not (tmp_path / "bundle").exists():
        bundle_in(tmp_path / "bundle")
    where = {"bundle": tmp_path / "bundle", "engines": tmp_path / "engines"}
    return render_from(templates, RenderSettings(**{**where, **settings}), output=output or tmp_path / "out")


def models_in(repository: Path) -> list[str]:
    return sorted(path.name for path in repository.iterdir() if path.is_dir())


def test_a_template_gets_the_stage_s_own_engine_and_precision(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path / "bundle")
    text = "{{ precision }} {{ engine }} {{ bundle }} {{ spec.encodec.codebooks }} {{ threads }} {{ max_batch }}"
    templates = templates_in(tmp_path / "templates", coarse=text, encodec_decode=text)
    coarse = engine_in(tmp_path / "engines", bundle, stage="coarse", precision="int8")
    decode = engine_in(tmp_path / "engines", bundle, stage="encodec_decode", precision="fp32")
    output = rendered(tmp_path, templates, threads=3, max_batch=5)
    assert (output / "coarse/config.pbtxt").read_text() == f"int8 {coarse} {bundle.folder} 8 3 5"
    assert (output / "encodec_decode/config.pbtxt").read_text() == f"fp32 {decode} {bundle.folder} 8 3 5"
    assert (output / "coarse/1/model.py").read_text() == "# coarse\n"
    files = sorted(path.name for path in output.rglob("*") if path.is_file())
    assert files == ["config.pbtxt"] * 2 + ["model.py"] * 2 + ["rendered.json"]


def test_without_hubert_models_that_only_clone_are_left_out(tmp_path: Path) -> None:
    bundle_in(tmp_path / "bundle", hubert=False)
    templates = templates_in(tmp_path / "templates", bark="b", hubert="h", encodec_encode="e")
    assert models_in(rendered(tmp_path, templates)) == ["bark"]


def test_paths_are_quoted_for_protobuf_not_for_html(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path / 'it\'s <"odd"> & été')
    templates = templates_in(tmp_path / "templates", bark="{{ bundle | string | tojson }}")
    output = rendered(tmp_path, templates, bundle=bundle.folder)
    text = (output / "bark/config.pbtxt").read_text()
    assert json.loads(text) == str(bundle.folder)
    assert "\\u" not in text


def test_folders_of_voices_are_joined_and_must_exist(tmp_path: Path) -> None:
    templates = templates_in(tmp_path / "templates", voices="{{ voices }}")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    output = rendered(tmp_path, templates, voices=(tmp_path / "a", tmp_path / "b"))
    assert (output / "voices/config.pbtxt").read_text() == f"{tmp_path / 'a'}:{tmp_path / 'b'}"
    with pytest.raises(ServerError, match="c is not a folder of voices"):
        rendered(tmp_path, templates, voices=(tmp_path / "c",))


def test_one_command_builds_the_missing_engines_however_many(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path / "bundle")
    templates = templates_in(tmp_path / "templates", fine="f", coarse="c")
    with pytest.raises(
        EngineError, match=r"2 engines.*bark-build engines --profile cpu --bundle [^ ]+ --precision int8"
    ):
        rendered(tmp_path, templates)
    engine_in(tmp_path / "engines", bundle, stage="fine", precision="int8")
    with pytest.raises(EngineError, match=r"bark-build engines --profile cpu .*--stage coarse"):
        rendered(tmp_path, templates)


def test_the_command_that_builds_the_missing_engines_names_the_bundle_and_the_store_for_a_shell(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path / "my bundle")
    templates = templates_in(tmp_path / "templates", fine="f", coarse="c")
    with pytest.raises(EngineError) as caught:
        rendered(tmp_path, templates, bundle=bundle.folder, engines=tmp_path / "my engines")
    assert f"--bundle '{bundle.folder}' --precision int8 --engines '{tmp_path}/my engines'" in caught.value.remedy
    assert "--build to your `bark-serve up`" in caught.value.remedy, "`bark-serve up --build` is another bundle's"


def test_a_file_is_refused_as_a_store_instead_of_engines_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "x.csv").touch()
    templates = templates_in(tmp_path / "templates", fine="f", coarse="c")
    with pytest.raises(StoreError, match=f"^{tmp_path}/x.csv is not a folder, so it keeps no engines"):
        rendered(tmp_path, templates, engines=tmp_path / "x.csv")
    rendered(tmp_path, templates, engines=tmp_path / "x.csv", profile="torch", gpus=())  # it needs no engines


def test_more_sequences_than_a_plan_decodes_are_refused_before_anything_is_built() -> None:
    for profile in PLAN_PROFILES:
        assert shapes("semantic", Spec(name="test"))["batch"][2] == TABLE[profile].max_batch == 32
        assert RenderSettings(bundle=MINIATURE, profile=profile, max_batch=32)
        with pytest.raises(ValidationError, match=f"a plan of the {profile} profile decodes at most 32 .*: give 32"):
            RenderSettings(bundle=MINIATURE, profile=profile, max_batch=33)
    assert RenderSettings(bundle=MINIATURE, max_batch=64).max_batch == 64


def test_a_failed_rendering_leaves_only_the_old_repository(tmp_path: Path) -> None:
    place = tmp_path / "place"
    output = rendered(tmp_path, templates_in(tmp_path / "good", bark="old"), output=place / "out")
    with pytest.raises(ServerError, match="'nonsense' is undefined"):
        rendered(tmp_path, templates_in(tmp_path / "bad", bark="{{ nonsense }}"), output=place / "out")
    assert (output / "bark/config.pbtxt").read_text() == "old"
    assert [path.name for path in place.iterdir()] == ["out"]
    rendered(tmp_path, templates_in(tmp_path / "new", echo="new"), output=place / "out")
    assert models_in(output) == ["echo"]
    assert [path.name for path in place.iterdir()] == ["out"]


def test_a_repository_says_what_it_was_rendered_from(tmp_path: Path) -> None:
    output = rendered(tmp_path, templates_in(tmp_path / "templates", bark="b"), profile="torch", gpus=())
    assert read_rendered(output) == Rendered(bundle="test", profile="torch", precision="bf16", runtime="PyTorch")
    (output / "rendered.json").write_text('{"of": "another version"}')
    assert read_rendered(output) is None
    assert read_rendered(tmp_path) is None


@pytest.mark.parametrize(("kernels", "runtime"), [(True, f"kernels ({instruction_set()})"), (False, "ONNX Runtime")])
def test_a_repository_says_whether_the_kernels_run_its_transformers(
    tmp_path: Path, kernels: bool, runtime: str
) -> None:
    bundle = bundle_in(tmp_path / "bundle")
    engine_in(tmp_path / "engines", bundle, stage="coarse", precision="int8", file="kernels.safetensors")
    templates = templates_in(tmp_path / "templates", coarse="coarse")
    output = rendered(tmp_path, templates, kernels=kernels and instruction_set() is not None)
    found = read_rendered(output)
    assert found and found.runtime == (runtime if instruction_set() else "ONNX Runtime")


def test_a_repository_says_which_files_its_models_read(tmp_path: Path) -> None:
    templates = templates_in(tmp_path / "templates", coarse="coarse")
    coarse = engine_in(tmp_path / "engines", bundle_in(tmp_path / "bundle"), stage="coarse", precision="int8")
    rendered_from = read_rendered(rendered(tmp_path, templates))
    assert rendered_from
    file = next(file for file in rendered_from.files if file.path == coarse / "model.onnx")
    assert file.size == 0 and file.sha256 == hashlib.sha256(b"").hexdigest()
    assert file.quick_sum == quick_sum([])
    assert re.fullmatch(
        rf"Run `rm -r {coarse} && bark-build engines .*--stage coarse --precision int8 .*`\.", file.remedy
    )


def test_with_packed_weights_only_they_are_read(tmp_path: Path) -> None:
    engine = Engine(tmp_path, manifest_of(Bundle(MINIATURE), files={"kernels.safetensors": "1", "model.onnx": "2"}))
    for kernels, read in ((True, ["kernels.safetensors"]), (False, ["model.onnx"])):
        files = engine_files(engine, kernels=kernels, build_command="build")
        assert [file.path.name for file in files] == read


def test_the_bundle_s_sums_are_those_of_its_spec() -> None:
    bundle = Bundle(MINIATURE)
    files = bundle_files(bundle, ["semantic", "fine"])
    assert [file.path.name for file in files] == ["tokenizer.json", "semantic.safetensors", "fine.safetensors"]
    assert all(file.sha256 == bundle.spec.files[file.path.name] for file in files)


def test_the_voices_of_clients_are_kept_in_one_folder_per_codec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same tokens decode to different audio with another codec."""
    monkeypatch.setenv("BARK_VOICES", str(tmp_path / "voices"))
    stores = {
        voice_store_of(bundle_in(tmp_path / name, codec=codec))
        for name, codec in (("small", "0123456789"), ("large", "0123456789"), ("mini", "abcdefabcd"))
    }
    assert stores == {tmp_path / "voices/codec-01234567", tmp_path / "voices/codec-abcdefab"}
    templates = templates_in(tmp_path / "templates", voices="{{ voice_store }}")
    for store, expected in ((None, "voices/codec-none"), (tmp_path / "mine", "mine")):
        output = rendered(tmp_path, templates, voice_store=store)
        assert (output / "voices/config.pbtxt").read_text().strip() == str(tmp_path / expected)


def test_a_folder_of_other_things_is_not_replaced(tmp_path: Path) -> None:
    templates = templates_in(tmp_path / "templates", bark="{{ bundle }}")
    bundle_in(tmp_path / "bundle")
    for output in (tmp_path / "build", tmp_path / "file"):
        (tmp_path / "build/voices").mkdir(parents=True, exist_ok=True)
        (tmp_path / "file").write_text("mine")
        with pytest.raises(ServerError, match=f"{output} is there, and is no model repository") as raised:
            rendered(tmp_path, templates, output=output)
        assert "new, empty, or was rendered before" in raised.value.remedy
    assert (tmp_path / "build/voices").is_dir() and (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    for _ in range(2):
        rendered(tmp_path, templates, output=tmp_path / "empty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["build", "bundle", "empty", "file", "templates"]


def test_the_torch_profile_needs_no_engines_and_has_own_precisions(tmp_path: Path) -> None:
    templates = templates_in(
        tmp_path / "templates", coarse="{{ precision }} {{ engine }}", encodec_decode="{{ precision }} {{ devices }}"
    )
    output = rendered(tmp_path, templates, profile="torch", gpus=())
    assert (output / "coarse/config.pbtxt").read_text() == "bf16 None"
    assert (output / "encodec_decode/config.pbtxt").read_text() == "fp16 cpu"
    with pytest.raises(ValidationError, match="the torch profile has bf16, fp16, fp32, not int8"):
        rendered(tmp_path, templates, profile="torch", precision="int8")


def test_instances_are_on_every_gpu_or_on_the_cpu(tmp_path: Path) -> None:
    text = "{{ devices }}|{{ instance_group }}|{{ single_instance_group }}|{{ gpus }}"
    templates = templates_in(tmp_path / "templates", fine=text)
    cases = {
        (): "cpu|{ kind: KIND_CPU, count: 1 }|{ kind: KIND_CPU, count: 1 }|[]",
        (0, 3): "cuda:0,cuda:3|{ kind: KIND_GPU, count: 1, gpus: [ 0, 3 ] }|"
        "{ kind: KIND_GPU, count: 1, gpus: [ 0 ] }|[0, 3]",
    }
    for gpus, expected in cases.items():
        output = rendered(tmp_path, templates, profile="torch", gpus=gpus)
        assert (output / "fine/config.pbtxt").read_text() == expected
        assert uses_gpu(output) == bool(gpus)


def test_a_profile_whose_library_is_missing_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed("torch")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_installed("trtllm")
    with pytest.raises(ServerError, match=r"needs torch.*pip install -e '\.\[torch\]'` in the checkout"):
        check_installed("torch")


def test_gpus_that_exist_are_used_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    templates = templates_in(tmp_path / "templates", fine="{{ gpus }}")
    monkeypatch.setattr("bark_serving.server.render_settings.gpu_count", lambda: 2)
    assert (rendered(tmp_path, templates, profile="torch") / "fine/config.pbtxt").read_text() == "[0, 1]"
    assert usable_gpus("cpu", None) == ()
    monkeypatch.setattr("bark_serving.server.render_settings.gpu_count", lambda: 0)
    assert usable_gpus("torch", None) == ()
    assert usable_gpus("tensorrt", None) == (0,)  # rendered for another machine
    with pytest.raises(ServerError, match="runs on the CPU"):
        usable_gpus("cpu", (0,))
    with pytest.raises(ServerError, match="needs a GPU"):
        usable_gpus("tensorrt", ())


def test_engines_of_one_gpu_architecture_refuse_gpus_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building again would not help: no engine runs on both."""
    kinds = ["sm80", "sm90", "sm90"]
    monkeypatch.setattr("bark_serving.server.render_settings.gpu_count", lambda: len(kinds))
    monkeypatch.setattr(
        "bark_serving.server.render_settings.architectures", lambda wanted: sorted({kinds[number] for number in wanted})
    )
    for asked in (None, (0, 1)):
        with pytest.raises(ServerError, match=r"several kinds: sm80, sm90\. Name those of one kind, as in --gpus 0\."):
            usable_gpus("tensorrt", asked)
    assert usable_gpus("tensorrt", (1, 2)) == (1, 2)
    assert usable_gpus("tensorrt", (0, 1), architecture="sm90") == (0, 1)  # on another machine
    assert usable_gpus("torch", None) == (0, 1, 2)


def test_a_profile_s_own_template_is_chosen_without_model_py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    templates = templates_in(tmp_path / "templates", fine="python", bark="bark")
    (templates / "fine/config.trtllm.pbtxt.j2").write_text('platform: "tensorrt_plan" {{ engine }}')
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine/model.plan").write_text("plan")
    made = engine_in(tmp_path / "engines", bundle_in(tmp_path / "bundle"), stage="fine", precision="int8")
    engine = Engine(tmp_path / "engine", Manifest.model_validate_json((made / "manifest.json").read_bytes()))
    monkeypatch.setattr(EngineStore, "find", lambda self, bundle, **which: engine)
    output = rendered(tmp_path, templates, profile="trtllm")
    assert (output / "fine/config.pbtxt").read_text() == f'platform: "tensorrt_plan" {tmp_path / "engine"}'
    assert [path.name for path in (output / "fine/1").iterdir()] == ["model.plan"]
    assert (output / "fine/1/model.plan").read_text() == "plan"
    assert (output / "bark/1/model.py").exists()
    output = rendered(tmp_path, templates, profile="torch", gpus=())
    assert (output / "fine/config.pbtxt").read_text() == "python"
    assert [path.name for path in (output / "fine/1").iterdir()] == ["model.py"]


def test_a_wrong_bark_kernels_is_not_told_as_engines_that_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BARK_KERNELS", "foo")
    settings = RenderSettings(bundle=MINIATURE, engines=tmp_path / "none")
    with pytest.raises(EngineError) as caught:
        render_from(templates_folder(), settings, output=tmp_path / "out")
    assert caught.value.problem.startswith("BARK_KERNELS is foo; this processor has ")
    assert caught.value.remedy == "Set it to one of these or to off, or unset it."
