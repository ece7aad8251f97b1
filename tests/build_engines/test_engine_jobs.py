"""Which engines `engine_jobs` plans for a profile and an architecture, which it refuses, and how long they take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import bark_kernels
from bark_serving.bundle import Bundle
from bark_serving.engines.manifest import Manifest
from bark_serving.engines.store import EngineStore
from bark_serving.host import gpus
from bark_serving.profiles import STAGES, Profile
from build_engines.engine_jobs import EngineJob, engine_jobs
from build_engines.estimate import estimate
from build_engines.tensorrt import library
from tests.bundles import random_bundle, small_spec

PLANS = ("fine", "encodec_decode", "encodec_encode", "hubert")


def machine_with(monkeypatch: pytest.MonkeyPatch, *names: str, tensorrt: str | None = None) -> None:
    """This machine gets these GPUs, and a TensorRT that only has a version."""

    def architectures(numbers: Sequence[int] | None = None) -> Sequence[str]:
        return names

    monkeypatch.setattr(gpus, "architectures", architectures)
    if tensorrt:
        monkeypatch.setattr(
            library, "load_library", lambda *_: library.Library("tensorrt", SimpleNamespace(), tensorrt)
        )


def planned(bundle: Bundle, root: Path, *architectures: str, profile: Profile = "trtllm") -> Sequence[EngineJob]:
    return engine_jobs(
        bundle, profile=profile, precision=None, architectures=architectures, store=EngineStore(root), stages=STAGES
    )


def test_the_tensorrt_profile_has_a_plan_per_stage_on_the_gpu_that_serves(
    bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(monkeypatch, "sm90", tensorrt="10.16.1.11")
    jobs = planned(bundle, root, "sm90", profile="tensorrt")
    assert [job.stage for job in jobs] == list(STAGES) and all(job.to_build for job in jobs)
    assert {(job.maker, job.title) for job in jobs} == {("tensorrt", "TensorRT 10.16.1.11")}
    machine_with(monkeypatch, tensorrt="10.16.1.11")
    for job in planned(bundle, root, "sm90", profile="tensorrt"):
        assert job.refusal and "builds on the GPU it builds for, and there is none here" in job.refusal.problem


@pytest.mark.parametrize("profile", ["tensorrt", "trtllm"])
def test_without_a_gpu_nobody_is_told_to_install_tensorrt_first(
    bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch, profile: Profile
) -> None:
    machine_with(monkeypatch)
    [refusal] = {job.refusal.problem for job in planned(bundle, root, "sm90", profile=profile) if job.stage == "fine"}
    assert refusal == "TensorRT builds on the GPU it builds for, and there is none here."


def test_an_old_tensorrt_is_refused_with_what_helps(
    bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(monkeypatch, "sm90", tensorrt="10.14.1.48.post1")
    for job in planned(bundle, root, "sm90", profile="tensorrt"):
        assert job.refusal and "TensorRT 10.14.1.48.post1 does not know KV caches" in job.refusal.problem
        assert "needs 10.16 or newer" in job.refusal.problem and "--gpt trtllm" in job.refusal.remedy


def test_trtllm_has_jobs_for_its_own_gpu_only(bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(monkeypatch, "sm90", tensorrt="10.11.0.33")
    jobs = {(job.stage, job.architecture): job for job in planned(bundle, root, "sm80", "sm90")}
    assert all(jobs[stage, "sm90"].to_build for stage in PLANS)  # type: ignore[index]
    for stage in PLANS:
        refusal = jobs[stage, "sm80"].refusal  # type: ignore[index]
        assert refusal and "here sm90, not for sm80" in refusal.problem
    assert [jobs[stage, "sm90"].precision for stage in PLANS] == ["fp16", "fp16", "fp32", "fp16"]  # type: ignore[index]


def test_the_jobs_say_whether_the_kernels_run_an_engine(
    bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def runs_in(variable: str) -> dict[str, str]:
        monkeypatch.setenv("BARK_KERNELS", variable)
        jobs = engine_jobs(bundle, profile="cpu", precision="int8", architectures=(), store=EngineStore(root))
        return {job.stage: job.title for job in jobs}

    assert set(runs_in("off").values()) == {"ONNX Runtime"}
    with_kernels = runs_in(bark_kernels.instruction_sets()[-1])
    assert with_kernels["semantic"].startswith("kernels (") and with_kernels["fine"].startswith("kernels (")
    assert with_kernels["encodec_decode"] == with_kernels["hubert"] == "ONNX Runtime"


def rtx_jobs(bundle: Bundle, root: Path, *architectures: str, **options: Any) -> Sequence[EngineJob]:
    return engine_jobs(
        bundle, profile="rtx", precision=None, architectures=architectures, store=EngineStore(root), **options
    )


def test_the_rtx_profile_has_a_plan_per_stage_without_a_gpu(bundle: Bundle, root: Path, rtx: library.Library) -> None:
    jobs = rtx_jobs(bundle, root, "sm86+sm120")
    assert [job.stage for job in jobs] == list(STAGES) and all(job.to_build for job in jobs)
    assert {(job.maker, job.title, job.profile) for job in jobs} == {("tensorrt_rtx", rtx.title, "rtx")}
    assert [job.precision for job in jobs] == ["fp16", "fp16", "fp16", "fp16", "fp32", "fp16"]


def test_the_rtx_profile_names_another_one_for_data_centre_gpus(bundle: Bundle, root: Path) -> None:
    for job in rtx_jobs(bundle, root, "sm90"):
        assert job.refusal and "does not build all networks for sm90 (H100, H200, GH200)" in job.refusal.problem
        assert "--profile tensorrt --gpu sm90" in job.refusal.remedy


def test_a_bundle_without_hubert_needs_no_engine_for_it(tmp_path: Path, root: Path) -> None:
    spec = small_spec().model_copy(update={"hubert": None})
    bundle = random_bundle(tmp_path / "bundle", spec, networks=["fine"])
    jobs = engine_jobs(bundle, profile="cpu", precision=None, architectures=(), store=EngineStore(root))
    assert "hubert" not in {job.stage for job in jobs}


def test_an_engine_built_elsewhere_counts_as_existing(
    bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine without TensorRT-LLM that got a folder of engines."""
    manifest = Manifest(
        stage="coarse",
        profile="trtllm",
        precision="fp16",
        bundle=bundle.hash,
        bundle_name=bundle.spec.name,
        architecture="sm90",
        versions={"tensorrt_llm": "1.0.0"},
        builder="elsewhere",
        inputs={},
        outputs={},
    )
    engine = EngineStore(root).publish(manifest, lambda folder: None)
    jobs = {(job.stage, job.architecture): job for job in planned(bundle, root, "sm80", "sm90")}
    assert jobs["coarse", "sm90"].existing == engine
    assert jobs["coarse", "sm80"].existing is None and jobs["coarse", "sm80"].refusal
    assert jobs["semantic", "sm90"].refusal


@pytest.mark.parametrize("smaller", [1, 20])
def test_an_estimate_uses_the_build_time_of_a_similar_engine(bundle: Bundle, root: Path, smaller: int) -> None:
    """A small engine may be far smaller than expected. Its time is mostly fixed."""
    store = EngineStore(root)
    before = estimate(bundle, stage="fine", precision="fp16", maker="tensorrt", store=store)
    assert before.seconds == pytest.approx(30, abs=1)
    manifest = Manifest(
        stage="fine",
        profile="tensorrt",
        precision="fp16",
        bundle="another",
        bundle_name="another",
        versions={"tensorrt": "10.11.0.33"},
        builder="test",
        inputs={},
        outputs={},
    )
    engine = store.publish(
        manifest, lambda folder: (folder / "model.plan").write_bytes(bytes(before.size // smaller)) and None
    )
    rewritten = engine.manifest.model_copy(update={"seconds": 77.0})
    (engine.folder / "manifest.json").write_text(rewritten.model_dump_json())
    after = estimate(bundle, stage="fine", precision="fp16", maker="tensorrt", store=store)
    assert after.seconds == pytest.approx(77, rel=0.1)
    other = estimate(bundle, stage="fine", precision="fp16", maker="tensorrt_rtx", store=store)
    assert other.seconds < 30
