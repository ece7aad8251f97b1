"""The ``trtllm-build`` command of one engine, from the bundle's numbers and the release's options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bark_serving.bundle import Bundle
from bark_serving.spec import GptStage
from build_engines.trtllm.checkpoint import Dtype
from build_engines.trtllm.versions import DEFAULT, TABLE, Release

PROGRAM = "trtllm-build"
MODEL_FILE, MODEL_CLASS = Path(__file__).with_name("model.py"), "BarkForCausalLM"

#: At most this many tokens per forward pass, about 30 prompts of the semantic stage. More only costs memory.
_MAX_TOKENS = 8_192


@dataclass(frozen=True)
class Limits:
    """The largest sizes that an engine is built for."""

    batch: int  #: sequences in flight
    input_length: int  #: positions of a prompt
    sequence_length: int  #: positions of a prompt and of what is generated; the last token is never an input
    tokens: int  #: in one forward pass
    prompt_table: int  #: rows, of all sequences together; 0: the stage has no prompt table


def limits_of(bundle: Bundle, *, stage: GptStage, batch: int) -> Limits:
    """Limits for every request that `bark_serving.speech.request` accepts, `batch` of them at a time.

    A coarse window may be long where its history is short, so both stages may use all positions of their network.
    """
    spec = bundle.spec
    if stage == "semantic":
        length, table = spec.semantic.prefill, spec.semantic.prefill * batch
        total = length + spec.semantic.max_steps
    else:
        length, table = spec.coarse.semantic_context + 1 + spec.coarse.max_history, 0
        total = bundle.spec.gpt(stage).block_size + 1
    tokens = max(length + batch, min(length * batch, _MAX_TOKENS))
    return Limits(batch=batch, input_length=length, sequence_length=total, tokens=tokens, prompt_table=table)


def build_command(
    limits: Limits,
    *,
    checkpoint: Path,
    output: Path,
    dtype: Dtype,
    release: Release = DEFAULT,
    model_file: Path = MODEL_FILE,
    program: str = PROGRAM,
) -> Sequence[str]:
    """The program and its arguments. It builds the engine of `checkpoint` into `output`."""
    values: dict[str, object] = {
        "checkpoint": checkpoint,
        "output": output,
        "model_file": model_file,
        "model_class": MODEL_CLASS,
        "batch": limits.batch,
        "input_length": limits.input_length,
        "sequence_length": limits.sequence_length,
        "tokens": limits.tokens,
        "gemm": dtype,
        "attention": dtype,
        "cache": "paged",
        "packed": "enable",
        "fused_attention": "enable",
        "workers": 1,
    }
    if limits.prompt_table:
        values["prompt_table"] = limits.prompt_table
    options = TABLE[release].options
    return [program, *(part for name, value in values.items() for part in (options[name], str(value)))]
