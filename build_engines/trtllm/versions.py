"""The TensorRT-LLM releases that engines can be built for. Everything that differs between them is in this table.

Both build engines from checkpoints with ``trtllm-build`` for the C++ executor; 1.3 removed that. An engine runs only in
the release that built it, so it is built inside the container that serves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

Release = Literal["1.0.0", "1.2.1"]
RELEASES: tuple[Release, ...] = get_args(Release)
DEFAULT: Release = "1.0.0"

_IMAGE = "nvcr.io/nvidia/tritonserver"

#: What a build sets → the option of ``trtllm-build``.
_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "checkpoint": "--checkpoint_dir",
        "output": "--output_dir",
        "model_file": "--model_cls_file",
        "model_class": "--model_cls_name",
        "batch": "--max_batch_size",
        "input_length": "--max_input_len",
        "sequence_length": "--max_seq_len",
        "tokens": "--max_num_tokens",
        "prompt_table": "--max_prompt_embedding_table_size",
        "gemm": "--gemm_plugin",
        "attention": "--gpt_attention_plugin",
        "cache": "--kv_cache_type",
        "packed": "--remove_input_padding",
        "fused_attention": "--context_fmha",
        "workers": "--workers",
    }
)


@dataclass(frozen=True)
class ReleaseRow:
    """One release of TensorRT-LLM and the Triton containers that carry it."""

    tensorrt: str
    cuda: str
    tags: tuple[str, ...]  #: of Triton's container; the last one is the pinned one
    plans: str  #: tag of Triton's plain container with the same TensorRT and CUDA: its backend runs the plans
    architectures: tuple[str, ...]
    options: Mapping[str, str]
    architecture: str = "GPTForCausalLM"  #: of the checkpoint's config: decides which class reads it

    @property
    def container(self) -> str:
        """The image to build and serve in."""
        return f"{_IMAGE}:{self.tags[-1]}-trtllm-python-py3"


_ARCHITECTURES = ("sm80", "sm86", "sm89", "sm90", "sm100", "sm120")

TABLE: Mapping[Release, ReleaseRow] = MappingProxyType(
    {
        "1.0.0": ReleaseRow(
            tensorrt="10.11.0.33",
            cuda="12.9",
            tags=("25.09", "25.10"),
            plans="25.06",
            architectures=_ARCHITECTURES,
            options=_OPTIONS,
        ),
        "1.2.1": ReleaseRow(
            tensorrt="10.14.1.48",
            cuda="13.1",
            tags=("26.04", "26.05", "26.06", "26.07"),
            plans="25.12",
            architectures=_ARCHITECTURES,
            options=_OPTIONS,
        ),
    }
)
