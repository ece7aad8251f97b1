"""What the profiles rtx and tensorrt ask of a GPU before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from bark_serving.engines.manifest import Manifest
from bark_serving.engines.store import Engine
from bark_serving.host import gpus
from bark_serving.profiles import Profile, Stage
from bark_serving.server.errors import RepositoryError
from bark_serving.server.gpu_check import PLAN_PROFILES, check_engines, check_gpus, needed_bytes
from bark_serving.spec import Spec

SPEC = Spec(name="large")


def here(monkeypatch: pytest.MonkeyPatch, *names: str, cuda: int = 13_000) -> None:
    monkeypatch.setattr(gpus, "architectures", lambda numbers: list(names))
    monkeypatch.setattr(gpus, "gpu_count", lambda: len(names))
    monkeypatch.setattr(gpus, "driver_cuda", lambda: cuda)


@pytest.mark.parametrize("name", ["sm80", "sm86", "sm89", "sm120", "sm121"])
def test_a_gpu_that_every_plan_builds_for_is_taken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    here(monkeypatch, name)
    check_gpus("rtx", (0,), architecture=None)


@pytest.mark.parametrize("name", ["sm75", "sm90", "sm100"])
def test_tensorrt_serves_wherever_it_built(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    here(monkeypatch, name)
    check_gpus("tensorrt", (0,), architecture=None)


@pytest.mark.parametrize("name", ["sm75", "sm90", "sm100"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_another_gpu_gets_the_name_of_a_profile_that_fits(
    monkeypatch: pytest.MonkeyPatch, name: str, elsewhere: bool
) -> None:
    here(monkeypatch, "sm86" if elsewhere else name)
    with pytest.raises(RepositoryError, match=rf"does not serve on {name}; .*--profile tensorrt or --profile torch"):
        check_gpus("rtx", (0,), architecture=name if elsewhere else None)


@pytest.mark.parametrize("profile", PLAN_PROFILES)
def test_a_machine_without_a_gpu_is_told(monkeypatch: pytest.MonkeyPatch, profile: Profile) -> None:
    here(monkeypatch)
    said = rf"The {profile} profile needs an NVIDIA GPU, and there is none here\. .*--profile cpu"
    with pytest.raises(RepositoryError, match=said):
        check_gpus(profile, (0,), architecture=None)


@pytest.mark.parametrize("numbers", [(5,), (0, 5)])
def test_a_number_that_no_gpu_has_is_told(monkeypatch: pytest.MonkeyPatch, numbers: tuple[int, ...]) -> None:
    here(monkeypatch, "sm80", "sm86")
    with pytest.raises(RepositoryError, match=r"There is no GPU 5 here; .* 0\.\.1\. .*--gpus 0"):
        check_gpus("rtx", numbers, architecture=None)
    check_gpus("rtx", numbers, architecture="sm86")


@pytest.mark.parametrize("profile", PLAN_PROFILES)
def test_an_old_driver_is_told_unless_another_machine_serves(monkeypatch: pytest.MonkeyPatch, profile: Profile) -> None:
    here(monkeypatch, "sm89", cuda=12_040)
    said = rf"driver is for CUDA 12\.4; the {profile} profile needs one for 13\.0\. Update"
    with pytest.raises(RepositoryError, match=said):
        check_gpus(profile, (0,), architecture=None)
    check_gpus(profile, (0,), architecture="sm89")


def engines(folder: Path, *, size: int = 1_000_000, memory: int = 20_000_000) -> dict[Stage, Engine]:
    made: dict[Stage, Engine] = {}
    for stage in ("semantic", "coarse", "fine"):
        (folder / stage).mkdir()
        with (folder / stage / "model.plan").open("wb") as file:
            file.truncate(size)
        manifest = Manifest(
            stage=stage,  # type: ignore[arg-type]
            profile="rtx",
            precision="fp16",
            bundle="b",
            bundle_name="b",
            shapes={"batch": (1, 4, 32)},
            versions={},
            builder="b",
            inputs={},
            outputs={},
            memory=memory,
        )
        made[stage] = Engine(folder / stage, manifest)  # type: ignore[index]
    return made


def test_memory_counts_plans_contexts_caches_and_cuda(tmp_path: Path) -> None:
    needed = needed_bytes(engines(tmp_path), spec=SPEC, max_batch=8)
    cache = 2 * 24 * 8 * 1024 * 1024 * 2
    contexts = 2 * 5 + 1  # of a GPT: batches of 1, 2, 4 and 8, and the prefill
    assert needed == 2 * cache + contexts * 20e6 + 3 * 1e6 + 3 * 400e6


def test_too_little_memory_on_one_gpu_for_the_batch_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = engines(tmp_path)
    monkeypatch.setattr(gpus, "memory", [16_000_000_000, 4_000_000_000, None].__getitem__)
    check_engines(made, spec=SPEC, max_batch=8, numbers=(0, 1, 2))
    check_engines(made, spec=SPEC, max_batch=32, numbers=(0, 2))
    with pytest.raises(RepositoryError, match=r"about 7\.9 GB .* 32 sequences .* has 4\.0 GB\. .*--max-batch"):
        check_engines(made, spec=SPEC, max_batch=32, numbers=(0, 1, 2))


def test_more_sequences_than_a_plan_has_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match=r"at most 32 sequences at once, not 64\. Give --max-batch 32"):
        check_engines(engines(tmp_path), spec=SPEC, max_batch=64, numbers=())
