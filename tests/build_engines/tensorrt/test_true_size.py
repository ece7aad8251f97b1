"""Every network at its true size, built for every architecture by TensorRT for RTX, and what that takes on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bark_serving.bundle import Bundle
from bark_serving.profiles import Precision, Stage, stage_precision
from bark_serving.spec import Spec
from build_engines.errors import BuildError
from build_engines.tensorrt import header
from build_engines.tensorrt.build import PLAN_STAGES
from build_engines.tensorrt.compiler import Plan, build
from build_engines.tensorrt.library import Library
from build_engines.tensorrt.shapes import shapes
from tests.build_engines.tensorrt.conftest import Exported, declared, export
from tests.bundles import random_bundle

MODERN = ("sm80", "sm86", "sm89", "sm120")
#: TensorRT for RTX has no fp32 matrix products for Turing: HuBERT's token head and the codec's encoder can't be there.
ARCHITECTURES: dict[Stage, tuple[str, ...]] = {
    "fine": ("sm75", *MODERN),
    "encodec_decode": ("sm75", *MODERN),
    "encodec_encode": MODERN,
    "hubert": MODERN,
}
#: Activations at the greatest shapes, in MB: some 10 % more than what was measured. The fine stage has a limit of its
#: own, below.
MEMORY = {"encodec_decode": 510, "encodec_encode": 1_250, "hubert": 450}


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
    limit = scores(bundle.spec, "fp16") if stage == "fine" else MEMORY[stage] * 1e6
    assert plan.activations < limit


def scores(spec: Spec, precision: Precision) -> int:
    """Bytes of the matrix of attention scores of one layer at the fine stage's greatest batch.

    Fused, attention never writes it; so a plan whose activations are smaller than that alone has fused attention.
    """
    batch = shapes("fine", spec)["batch"][2]
    return batch * spec.fine.gpt.heads * spec.fine.window**2 * (2 if precision == "fp16" else 4)


@pytest.mark.parametrize("stage", PLAN_STAGES)
def test_one_plan_is_built_for_all_architectures(
    true_size: Bundle, exported: Exported, rtx: Library, stage: Stage
) -> None:
    graph = exported(stage, stage_precision(stage, "fp16", "tensorrt"))
    architectures = ARCHITECTURES[stage]
    plan = compile_stage(true_size, graph, stage=stage, architectures=architectures, library=rtx)
    assert_plan(plan, true_size, stage=stage, architectures=architectures, library=rtx)


def test_what_cannot_be_compiled_is_an_error_with_tensorrts_reason(
    true_size: Bundle, exported: Exported, rtx: Library
) -> None:
    with pytest.raises(BuildError, match=r"cannot compile .*Turing.*FP32 GEMM is not supported"):
        compile_stage(
            true_size, exported("encodec_encode", "fp32"), stage="encodec_encode", architectures=("sm75",), library=rtx
        )


@pytest.mark.parametrize("architecture", ["sm75", "sm120"])
def test_the_fine_stage_is_built_for_the_oldest_and_the_newest(
    true_size: Bundle, exported: Exported, rtx: Library, architecture: str
) -> None:
    plan = compile_stage(true_size, exported("fine", "fp16"), stage="fine", architectures=(architecture,), library=rtx)
    assert_plan(plan, true_size, stage="fine", architectures=(architecture,), library=rtx)


def test_attention_that_is_not_fused_would_be_noticed(true_size: Bundle, exported: Exported, rtx: Library) -> None:
    """In fp32 TensorRT does not fuse it: the limit that fp16 keeps is broken, for fp32's own larger scores too."""
    plan = compile_stage(true_size, exported("fine", "fp32"), stage="fine", architectures=("sm80",), library=rtx)
    assert plan.activations is not None
    assert plan.activations > scores(true_size.spec, "fp32") > scores(true_size.spec, "fp16")


def test_huberts_attention_is_fused(true_size: Bundle, exported: Exported, rtx: Library) -> None:
    """Its convolutions hide the scores of a clip, so growth tells: four times the length, four times the memory.

    (Unfused, the scores of 120 s alone are 2 × 12 × 6 000² × 2 bytes = 1.7 GB.)
    """
    taken = []
    for factor in (1, 4):
        ranges = shapes("hubert", true_size.spec)
        least, best, greatest = ranges["samples"]
        ranges["samples"] = (least, best, greatest * factor)
        plan = compile_stage(
            true_size,
            exported("hubert", "fp16"),
            stage="hubert",
            architectures=("sm80",),
            library=rtx,
            shapes=ranges,
        )
        assert plan.activations is not None
        taken.append(plan.activations)
    assert taken[1] == pytest.approx(4 * taken[0], rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "architecture"), [(stage, name) for stage in PLAN_STAGES for name in (*ARCHITECTURES[stage], "sm121")]
)
def test_each_architecture_alone(
    true_size: Bundle, exported: Exported, rtx: Library, stage: Stage, architecture: str
) -> None:
    usual = stage_precision(stage, "fp16", "tensorrt")
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


@pytest.mark.slow
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
