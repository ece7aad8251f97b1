"""The models of the profiles rtx and tensorrt, whole, on stand-ins of CUDA and both TensorRTs: text becomes speech."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import pytest

from bark_serving.bundle import Bundle, mapped
from bark_serving.engines.compatibility import Host
from bark_serving.engines.store import EngineMismatch, EngineStore
from bark_serving.errors import InvalidRequest
from bark_serving.host import gpus
from bark_serving.profiles import STAGES, TABLE, Profile, Stage, stage_precision
from bark_serving.server.render_settings import RenderSettings
from bark_serving.server.repository import render
from bark_serving.speech.job import Answer
from bark_serving.speech.orchestrator import Orchestrator
from bark_serving.speech.request import parse
from bark_serving.speech.stage_capabilities import StageCapabilities, capabilities_of
from bark_serving.triton.in_process import Backend, InProcess
from bark_serving.voices import VoiceLibrary
from build_engines.export import graph
from build_engines.tensorrt import build, dialect
from build_engines.tensorrt.library import Library
from tests import nvidia_on_cpu
from tests.bundles import random_bundle, small_spec
from tests.fake_stages import Words

LIBRARIES: dict[Profile, Library] = {
    "rtx": Library("tensorrt_rtx", None, "1.7.1.116"),
    "tensorrt": Library("tensorrt", None, "11.4.0.106"),
}
ARCHITECTURES: dict[Profile, str] = {"rtx": "sm86+sm120", "tensorrt": "sm86"}
IMPORTERS = ("bark_serving.triton", "bark_serving.runtimes.nvidia_device")
#: Without HuBERT, a bundle has no stages of cloning.
SPOKEN: list[Stage] = [stage for stage in STAGES if stage not in ("encodec_encode", "hubert")]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    spec = small_spec().model_copy(update={"hubert": None, "guard": None})
    return random_bundle(
        tmp_path_factory.mktemp("rtx") / "bundle", spec, networks=["semantic", "coarse", "fine", "encodec"]
    )


@pytest.fixture(scope="module")
def store(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> EngineStore:
    """Engines of both profiles. Their plans are their ONNX graphs."""
    store = EngineStore(tmp_path_factory.mktemp("engines"))
    for stage in SPOKEN:
        precision = stage_precision(stage, "fp16", "tensorrt")
        path = tmp_path_factory.mktemp(stage) / "model.onnx"
        graph.save(dialect.export(bundle, stage=stage, precision=precision), path)
        dialect.keep_outputs(path, dialect.plan_outputs(bundle.spec, stage=stage, precision=precision))
        plan = onnx.load(str(path)).SerializeToString()

        def write(folder: Path, plan: bytes = plan) -> dict[str, object]:
            (folder / "model.plan").write_bytes(plan)
            return {"memory": 1_000_000}

        for profile, library in LIBRARIES.items():
            manifest = build.manifest(
                bundle,
                profile=profile,
                stage=stage,
                precision=precision,
                architecture=ARCHITECTURES[profile],
                library=library,
            )
            store.publish(manifest, write)
    return store


def rendered(bundle: Bundle, store: EngineStore, folder: Path, profile: Profile) -> Path:
    settings = RenderSettings(
        bundle=bundle.folder,
        engines=store.root,
        profile=profile,
        gpus=(0,),
        voice_store=folder / "voices",
        max_batch=4,
    )
    with mock.patch.object(gpus, "architectures", lambda numbers=None: ["sm86"]):
        return render(settings, output=folder / "repository")


@pytest.fixture(params=LIBRARIES)
def profile(request: pytest.FixtureRequest) -> Profile:
    chosen: Profile = request.param
    return chosen


@pytest.fixture
def models(
    bundle: Bundle, store: EngineStore, profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InProcess]:
    """The models of a repository, with the libraries replaced. What imported them is forgotten afterwards."""
    for name, module in (nvidia_on_cpu.modules() | {"triton_python_backend_utils": Backend()}).items():
        monkeypatch.setitem(sys.modules, name, module)
    for name in [name for name in sys.modules if name.startswith(IMPORTERS)]:
        monkeypatch.delitem(sys.modules, name)
    with InProcess(rendered(bundle, store, tmp_path, profile)) as models:
        yield models
    for name in [name for name in sys.modules if name.startswith(IMPORTERS)]:
        del sys.modules[name]


def speak(bundle: Bundle, models: InProcess, folder: Path, *texts: str, **inputs: Any) -> list[list[Answer]]:
    """The answers to each text, all spoken at the same time."""
    capabilities = capabilities_of(TABLE["tensorrt"].stages, precision="fp16", constants={})
    orchestrator = Orchestrator(
        models,
        spec=bundle.spec,
        checkpoint="small 0123456789ab",
        embeddings=mapped(bundle.weights("semantic"), "token_embedding.weight"),
        vocabulary=Words(),
        voices=VoiceLibrary([folder], spec=bundle.spec),
        max_batch=4,
        capabilities=capabilities,
    )

    async def one(text: str, number: int) -> list[Answer]:
        given = {"text": text, "seed": number, "max_duration": 1.0, "return_tokens": True, **inputs}
        request = parse(given, spec=bundle.spec, capabilities=capabilities)
        return [answer async for answer in orchestrator.speak(request, request_id=str(number))]

    async def every() -> list[list[Answer]]:
        return await asyncio.gather(*(one(text, number) for number, text in enumerate(texts)))

    return asyncio.run(every())


def test_the_profiles_say_what_their_stages_cannot_do() -> None:
    found = capabilities_of(TABLE["tensorrt"].stages, precision="fp16", constants={})
    assert found == StageCapabilities(decoder_state=False, whole_windows=True)


def test_texts_spoken_together_say_what_they_say_alone(bundle: Bundle, models: InProcess, tmp_path: Path) -> None:
    texts = ["One sentence begins here.", "Another one.", "A third one, which is longer than the others."]
    together = speak(bundle, models, tmp_path, *texts)
    for number, answers in enumerate(together):
        audio = np.concatenate([answer.audio for answer in answers])
        assert 0 < len(audio) <= 24_000 * 1.1 and np.isfinite(audio).all() and audio.std() > 0
        alone = speak(bundle, models, tmp_path, texts[number], seed=number)[0]
        np.testing.assert_array_equal(np.concatenate([answer.audio for answer in alone]), audio)
    assert len({answers[-1].tokens.semantic.tobytes() for answers in together}) == 3  # type: ignore[union-attr]


def test_a_request_beyond_a_plans_shapes_is_refused(bundle: Bundle, models: InProcess) -> None:
    codes = np.zeros((1, 8, 3), np.int32)
    with pytest.raises(InvalidRequest, match=r"codes has 3 frames; send 7\.\.2250"):
        models.run("encodec_decode", {"codes": codes}, ["audio"])
    with pytest.raises(InvalidRequest, match="encodec_decode has no state in this profile"):
        models.run(
            "encodec_decode", {"codes": np.zeros((1, 8, 20), np.int32), "state": np.zeros(1, np.float32)}, ["audio"]
        )


def test_more_rows_than_a_plan_takes_run_in_parts(models: InProcess) -> None:
    codes = np.random.default_rng(0).integers(0, 1024, (5, 8, 20), np.int32)
    whole = models.run("encodec_decode", {"codes": codes}, ["audio"])["audio"]
    rows = [models.run("encodec_decode", {"codes": row[None]}, ["audio"])["audio"] for row in codes]
    assert whole.shape == (5, 20 * 320)
    np.testing.assert_allclose(whole, np.concatenate(rows), atol=1e-3)


def test_triton_reads_no_plan_itself(bundle: Bundle, store: EngineStore, profile: Profile, tmp_path: Path) -> None:
    repository = rendered(bundle, store, tmp_path, profile)
    assert not list(repository.rglob("model.plan"))
    assert 'backend: "python"' in (repository / "fine/config.pbtxt").read_text()


@pytest.mark.parametrize(
    ("profile", "library", "built", "other", "gpus"),
    [
        ("rtx", "tensorrt_rtx", r"TensorRT for RTX 1\.7\.1\.116", "1.6.1.120", "sm86 and sm120"),
        ("tensorrt", "tensorrt", r"TensorRT 11\.4\.0\.106", "10.16.1.11", "sm86"),
    ],
)
def test_a_plan_of_another_release_or_gpu_is_told_before_it_is_loaded(
    bundle: Bundle, store: EngineStore, profile: Profile, library: str, built: str, other: str, gpus: str
) -> None:
    find = partial(store.find, bundle, stage="coarse", profile=profile, precision="fp16")
    with pytest.raises(EngineMismatch, match=rf"was made for {built}, here is {other}"):
        find(host=Host(architectures=["sm86"], versions={library: other}))
    with pytest.raises(
        EngineMismatch, match=rf"built for {gpus}, the GPU here is sm89.*--profile {profile} --gpu sm89"
    ):
        find(host=Host(architectures=["sm89"]))


def test_an_engine_of_tensorrt_llm_that_an_older_version_gave_the_profile_is_no_plan(
    bundle: Bundle, store: EngineStore
) -> None:
    plan = store.find(bundle, stage="coarse", profile="tensorrt", precision="fp16", host=Host())
    old = plan.manifest.model_copy(update={"versions": {"tensorrt_llm": "1.0.0", "tensorrt": "11.4.0.106"}})
    store.publish(old, lambda folder: {})
    assert store.find(bundle, stage="coarse", profile="tensorrt", precision="fp16", host=Host()).folder == plan.folder
