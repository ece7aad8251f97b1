"""Profiles: what runs each stage, as one table. Code that runs or builds a stage looks it up here.

A *profile* decides, for every stage, the Triton backend, the precisions to choose from, and whether it runs an engine
of the store or the bundle's own weights. The models above the stages (`bark`, `voices`, …) are the same in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Stage = Literal["semantic", "coarse", "fine", "encodec_decode", "encodec_encode", "hubert"]
Profile = Literal["cpu", "torch", "rtx", "tensorrt", "trtllm"]
Precision = Literal["int8", "int4", "fp32", "bf16", "fp16"]
Backend = Literal["python", "tensorrt", "tensorrtllm"]

STAGES: tuple[Stage, ...] = get_args(Stage)
#: The stages whose networks are transformers with a precision of their own: what a server's precision is about.
TRANSFORMERS: tuple[Stage, ...] = ("semantic", "coarse", "fine")
PROFILES: tuple[Profile, ...] = get_args(Profile)
Gpt = Literal["trtllm"]  #: what runs the GPTs in place of the tensorrt profile's plans


@dataclass(frozen=True)
class StageRow:
    """How a profile runs one stage."""

    #: The precisions to choose from. The first is used if the server's precision is not among them.
    precisions: tuple[Precision, ...]
    backend: Backend = "python"
    engine: bool = True  #: whether it runs an engine of the store; if not, the bundle's own weights
    plan: str | None = None  #: name of the engine's file, if it is a TensorRT plan


@dataclass(frozen=True)
class ProfileRow:
    """One profile."""

    runs: str  #: what runs the stages, in a few words
    precision: Precision  #: the default precision of a server
    gpu: Literal["never", "optional", "always"]
    build: str | None  #: the command that builds its engines; None: it needs none
    module: str | None  #: the library that its Python models import
    extra: str | None  #: our extra that installs that library
    stages: Mapping[Stage, StageRow]
    max_batch: int | None = None  #: the largest of a server; None: not known before it is tried
    architectures: tuple[str, ...] | None = None  #: of the GPUs that it serves on; None: not known before it is tried

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions of the three transformers; a server's precision is about these."""
        return tuple(dict.fromkeys(one for stage in TRANSFORMERS for one in self.stages[stage].precisions))


def _rows(
    gpts: StageRow, fine: StageRow, decode: StageRow, encode: StageRow, hubert: StageRow
) -> dict[Stage, StageRow]:
    return {
        "semantic": gpts,
        "coarse": gpts,
        "fine": fine,
        "encodec_decode": decode,
        "encodec_encode": encode,
        "hubert": hubert,
    }


_ONNX_GPT = StageRow(("int8", "int4", "fp32"))
_ONNX = StageRow(("int8", "fp32"))
_ONNX_EXACT = StageRow(("fp32",))  # the codec and HuBERT end in an argmax or in audio
_TORCH = StageRow(("bf16", "fp16", "fp32"), engine=False)
_TORCH_HALF = StageRow(("fp16", "fp32"), engine=False)  # 8 bits of bf16 are audible noise in a waveform
_TORCH_EXACT = StageRow(("fp32",), engine=False)  # fp16 moves up to 7 % of the encoder's codes
_PLAN = "model.plan"
PLAN_ROWS = 32  #: sequences that a plan of a GPT decodes together, at most
_PLANS = _rows(
    StageRow(("fp16", "bf16", "int4"), plan=_PLAN),
    StageRow(("fp16",), plan=_PLAN),
    StageRow(("fp16", "fp32"), plan=_PLAN),
    StageRow(("fp32",), plan=_PLAN),
    StageRow(("fp16", "fp32"), plan=_PLAN),
)

TABLE: Mapping[Profile, ProfileRow] = {
    "cpu": ProfileRow(
        "our own kernels (int8, int4) and ONNX Runtime",
        precision="int8",
        gpu="never",
        build="bark-build engines --profile cpu",
        module="onnxruntime",
        extra="serve",
        stages=_rows(_ONNX_GPT, _ONNX, _ONNX_EXACT, _ONNX_EXACT, _ONNX_EXACT),
    ),
    "torch": ProfileRow(
        "PyTorch",
        precision="bf16",
        gpu="optional",
        build=None,
        module="torch",
        extra="torch",
        stages=_rows(_TORCH, _TORCH, _TORCH_HALF, _TORCH_EXACT, _TORCH_HALF),
    ),
    "rtx": ProfileRow(
        "TensorRT for RTX",
        precision="fp16",
        gpu="always",
        build="bark-build engines --profile rtx",
        module="tensorrt_rtx_bindings",
        extra="rtx",
        stages=_PLANS,
        max_batch=PLAN_ROWS,
        # it also builds for SM 75, but not HuBERT and the codec's encoder, which need products in fp32
        architectures=("sm80", "sm86", "sm89", "sm120", "sm121"),
    ),
    "tensorrt": ProfileRow(
        "TensorRT",
        precision="fp16",
        gpu="always",
        build="bark-build engines --profile tensorrt",
        module="tensorrt_bindings",
        extra="tensorrt",
        stages=_PLANS,
        max_batch=PLAN_ROWS,
    ),
    "trtllm": ProfileRow(
        "TensorRT-LLM and TensorRT",
        precision="fp16",
        gpu="always",
        build="bark-build engines --profile trtllm",
        module=None,
        extra=None,
        stages=_rows(
            StageRow(("fp16", "bf16", "int8"), backend="tensorrtllm"),
            StageRow(("fp16", "fp32"), backend="tensorrt", plan=_PLAN),
            StageRow(("fp16", "fp32"), backend="tensorrt", plan=_PLAN),
            StageRow(("fp32",), backend="tensorrt", plan=_PLAN),
            StageRow(("fp16", "fp32"), backend="tensorrt", plan=_PLAN),
        ),
    ),
}


def stage_precision(stage: Stage, precision: Precision, profile: Profile = "cpu") -> Precision:
    """`precision` if the stage has it, else the stage's first one."""
    choices = TABLE[profile].stages[stage].precisions
    return precision if precision in choices else choices[0]


def with_gpt(profile: Profile, gpt: Gpt | None) -> Profile:
    """The profile that ``--profile`` and ``--gpt`` name together. Raises `ValueError`."""
    if gpt and profile not in ("tensorrt", gpt):
        raise ValueError(f"{gpt} runs the GPTs of the tensorrt profile only, not of {profile}")
    return gpt or profile
