"""Every network at its true size, built for every architecture by TensorRT for RTX, and the GPU memory it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bark_serving.bundle import Bundle
from bark_serving.profiles import Precision, Stage, stage_precision
from bark_serving.spec import Spec
from build_engines.errors import BuildError
from build_engines.tensorrt import header
from build_engines.tensorrt.compiler import Plan, build
from build_engines.tensorrt.library import Library
from build_engines.tensorrt.shapes import shapes
from tests.build_engines.tensorrt.conftest import NETWORK_STAGES, Exported, declared, export
from tests.bundles import random_bundle

pytestmark = pytest.mark.slow  # minutes

MODERN = ("sm80", "sm86", "sm89", "sm120")
#: TensorRT for RTX has no fp32 matrix products for Turing. HuBERT's token head and the codec's encoder need them.
ARCHITECTURES: dict[Stage, tuple[str, ...]] = {
    "fine": ("sm75", *MODERN),
    "encodec_decode": ("sm75", *MODERN),
    "encodec_encode": MODERN,
    "hubert": MODERN,
}
#: Limits of the activations at the largest shapes, in MB: about 10 % more than measured. `scores` is the fine stage's.
MAX_ACTIVATIONS_MB = {"encodec_decode": 510, "encodec_encode": 1_250, "hubert": 450}


def compile_stage(
    bundle: Bundle, graph: Path, *, stage: Stage, architectures: tuple[str, ...], library: Library, **changed: Any
) -> Plan:
    return build(
        graph,
        library=library,
        architectures=architectures,
        **{"shapes": shapes(stage, bundle.spec), **declared(bundle, stage), **changed},  # type: ignore[arg-type]
    )


def assert_plan(plan: Plan, bundle: Bundle, *, stage: Stage, architectures: tuple[str, ...], library: Library) -> None:
    found = header.read(plan.data)
    assert found == header.Header(version=library.version, architectures=architectures, size=len(plan.data))
    assert plan.activations is not None
    limit = scores(bundle.spec, "fp16") if stage == "fine" else MAX_ACTIVATIONS_MB[stage] * 1e6
    assert plan.activations < limit


def scores(spec: Spec, precision: Precision) -> int:
    """Bytes of one layer's attention scores at the fine stage's largest batch.

    Fused attention never writes them. So a plan with fewer bytes of activations has fused attention.
    """
    batch = shapes("fine", spec)["batch"][2]
    return batch * spec.fine.gpt.heads * spec.fine.window**2 * (2 if precision == "fp16" else 4)


@pytest.mark.parametrize("stage", NETWORK_STAGES)
def test_one_plan_is_built_for_all_architectures(
    true_size: Bundle, exported: Exported, rtx: Library, stage: Stage
) -> None:
    graph = exported(stage, stage_precision(stage, "fp16", "trtllm"))
    architectures = ARCHITECTURES[stage]
    plan = compile_stage(true_size, graph, stage=stage, architectures=architectures, library=rtx)
    assert_plan(plan, true_size, stage=stage, architectures=architectures, library=rtx)


def test_the_error_of_a_failed_compilation_has_tensorrts_reason(
    true_size: Bundle, exported: Exported, rtx: Library
) -> None:
    with pytest.raises(BuildError, match=r"cannot compile .*Turing.*FP32 GEMM is not supported"):
        compile_stage(
            true_size, exported("encodec_encode", "fp32"), stage="encodec_encode", architectures=("sm75",), library=rtx
        )


@pytest.mark.parametrize("architecture", ["sm75", "sm120"])
def test_the_fine_stage_builds_for_the_oldest_and_the_newest_gpu(
    true_size: Bundle, exported: Exported, rtx: Library, architecture: str
) -> None:
    plan = compile_stage(true_size, exported("fine", "fp16"), stage="fine", architectures=(architecture,), library=rtx)
    assert_plan(plan, true_size, stage="fine", architectures=(architecture,), library=rtx)


def test_attention_that_is_not_fused_would_be_noticed(true_size: Bundle, exported: Exported, rtx: Library) -> None:
    """TensorRT does not fuse attention in fp32. Its plan exceeds the limit for fp16, and that for fp32."""
    plan = compile_stage(true_size, exported("fine", "fp32"), stage="fine", architectures=("sm80",), library=rtx)
    assert plan.activations is not None
    assert plan.activations > scores(true_size.spec, "fp32") > scores(true_size.spec, "fp16")


def test_huberts_attention_is_fused(true_size: Bundle, exported: Exported, rtx: Library) -> None:
    """With fused attention, four times the length takes four times the memory.

    The size alone proves nothing here, because convolutions need more memory than the scores of a clip. Without fusion,
    the scores of 120 s take 2 × 12 × 6 000² × 2 bytes = 1.7 GB.
    """
    activations = []
    for factor in (1, 4):
        ranges = shapes("hubert", true_size.spec)
        shortest, usual, longest = ranges["samples"]
        ranges["samples"] = (shortest, usual, longest * factor)
        plan = compile_stage(
            true_size,
            exported("hubert", "fp16"),
            stage="hubert",
            architectures=("sm80",),
            library=rtx,
            shapes=ranges,
        )
        assert plan.activations is not None
        activations.append(plan.activations)
    assert activations[1] == pytest.approx(4 * activations[0], rel=0.05)


@pytest.mark.parametrize(
    ("stage", "architecture"), [(stage, name) for stage in NETWORK_STAGES for name in (*ARCHITECTURES[stage], "sm121")]
)
def test_each_architecture_alone(
    true_size: Bundle, exported: Exported, rtx: Library, stage: Stage, architecture: str
) -> None:
    usual = stage_precision(stage, "fp16", "trtllm")
    for precision in (usual, *(() if usual == "fp32" or architecture == "sm75" else ("fp32",))):
        plan = compile_stage(
            true_size, exported(stage, precision), stage=stage, architectures=(architecture,), library=rtx
        )
        if precision == usual:
            assert_plan(plan, true_size, stage=stage, architectures=(architecture,), library=rtx)
        print(
            f"\n{stage} {precision} {architecture}: {plan.seconds:.1f} s, {len(plan.data) / 1e6:.0f} MB, "
            f"activations {(plan.activations or 0) / 1e6:.0f} MB"
        )


def test_the_fine_stage_of_bark_large(tmp_path: Path, rtx: Library) -> None:
    bundle = random_bundle(tmp_path / "large", Spec(name="large"), networks=["fine"])
    graph = export(bundle, stage="fine", precision="fp16", folder=tmp_path)
    everywhere = ARCHITECTURES["fine"]
    for architectures in (*((name,) for name in everywhere), everywhere):
        plan = compile_stage(bundle, graph, stage="fine", architectures=architectures, library=rtx)
        assert_plan(plan, bundle, stage="fine", architectures=architectures, library=rtx)
        print(
            f"\nfine large fp16 {'+'.join(architectures)}: {plan.seconds:.1f} s, {len(plan.data) / 1e6:.0f} MB, "
            f"activations {(plan.activations or 0) / 1e6:.0f} MB"
        )
