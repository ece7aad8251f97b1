"""Suno's own files: `text_2.pt`, `coarse_2.pt`, `fine_2.pt` (large), `text.pt`, `coarse.pt`, `fine.pt` (small).

Each is a pickle of `model_args`, `model` (a state dict whose names may start with `_orig_mod.`, left by
`torch.compile`) and training leftovers. Token numbers are not in these files: they are those of Suno's code, which
are the defaults of `bark_serving.spec`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from bark_serving.spec import CoarseSpec, FineSpec, GptSpec, SemanticSpec
from build_engines.checkpoints.formats.config import validated
from build_engines.checkpoints.formats.fine_heads import merge_heads
from build_engines.checkpoints.formats.pickles import Inert, load_pickle, number
from build_engines.checkpoints.formats.tensors import Part, Table, Tensors, as_tensors, rename, strip_prefix
from build_engines.errors import CheckpointError, naming

Stage = Literal["semantic", "coarse", "fine"]

#: (large, small) file of each stage
FILES: dict[Stage, tuple[str, str]] = {
    "semantic": ("text_2.pt", "text.pt"),
    "coarse": ("coarse_2.pt", "coarse.pt"),
    "fine": ("fine_2.pt", "fine.pt"),
}

GPT: Table = (
    ("transformer.wte.weight", "token_embedding.weight"),
    ("transformer.wpe.weight", "position_embedding.weight"),
    ("transformer.h.{i}.ln_1.{p}", "layers.{i}.attention_norm.{p}"),
    ("transformer.h.{i}.attn.bias", None),  # the causal mask
    ("transformer.h.{i}.attn.c_attn.{p}", "layers.{i}.attention.qkv.{p}"),
    ("transformer.h.{i}.attn.c_proj.{p}", "layers.{i}.attention.out.{p}"),
    ("transformer.h.{i}.ln_2.{p}", "layers.{i}.mlp_norm.{p}"),
    ("transformer.h.{i}.mlp.c_fc.{p}", "layers.{i}.mlp.up.{p}"),
    ("transformer.h.{i}.mlp.c_proj.{p}", "layers.{i}.mlp.down.{p}"),
    ("transformer.ln_f.{p}", "norm.{p}"),
    ("lm_head.weight", "head.weight"),
)
FINE: Table = (
    *GPT,
    ("transformer.wtes.{i}.weight", "embeddings.{i}"),
    ("lm_heads.{i}.weight", "heads.{i}"),
)


def choose(names: Iterable[str], *, small: bool = False) -> dict[Stage, str]:
    """The file of each stage among `names`. Where both sizes are there: the large one, or the small one if `small`.

    Raises `CheckpointError` when a stage has none.
    """
    found = set(names)
    chosen: dict[Stage, str] = {}
    for stage, (large_file, small_file) in FILES.items():
        preferred = (small_file, large_file) if small else (large_file, small_file)
        file = next((name for name in preferred if name in found), None)
        if file is None:
            raise CheckpointError(
                f"the {stage} network's file {' or '.join(preferred)} is missing.",
                remedy="A checkpoint of Suno's has three: text, coarse and fine.",
            )
        chosen[stage] = file
    return chosen


def read_semantic(path: Path) -> Part[SemanticSpec]:
    """The semantic network. Raises `CheckpointError`."""
    gpt, tensors = _read_gpt(path)
    return Part(SemanticSpec(gpt=gpt), tensors, str(path), (path,))


def read_coarse(path: Path) -> Part[CoarseSpec]:
    """The coarse network. Raises `CheckpointError`."""
    gpt, tensors = _read_gpt(path)
    return Part(CoarseSpec(gpt=gpt), tensors, str(path), (path,))


def read_fine(path: Path) -> tuple[Part[FineSpec], int]:
    """The fine network, and the number of codebooks it knows. Raises `CheckpointError`."""
    with naming(path):
        arguments, state = _load(path)
        codebooks = _number(arguments, "n_codes_total")
        given = _number(arguments, "n_codes_given")
        tensors, tied = merge_heads(rename(state, FINE), codebooks=codebooks, given=given)
        spec = validated(FineSpec, gpt=_gpt_spec(arguments), codebooks_given=given, tied_heads=tied)
    return Part(spec, tensors, str(path), (path,)), codebooks


def _read_gpt(path: Path) -> tuple[GptSpec, Tensors]:
    with naming(path):
        arguments, state = _load(path)
        return _gpt_spec(arguments), rename(state, GPT)


def _load(path: Path) -> tuple[dict[str, object], Tensors]:
    """`model_args` and the state dict. The loss beside them is a numpy scalar, and numbers may be, hence `inert`."""
    checkpoint = load_pickle(path, inert=("numpy",))
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"it holds {type(checkpoint).__name__}, expected model_args and model.")
    for key in ("model_args", "model"):
        if not isinstance(checkpoint.get(key), dict):
            raise CheckpointError(f"there is no {key}.", remedy="Give the .pt file as Suno published it.")
    arguments = {key: number(value) for key, value in checkpoint["model_args"].items()}
    return arguments, strip_prefix(as_tensors(checkpoint["model"]), "_orig_mod.")


def _gpt_spec(arguments: dict[str, object]) -> GptSpec:
    shared = arguments.get("vocab_size")  # files of the first generation have one vocabulary for both ends
    arguments = {"input_vocab_size": shared, "output_vocab_size": shared, **arguments}
    with naming("model_args"):
        return validated(
            GptSpec,
            layers=_number(arguments, "n_layer"),
            heads=_number(arguments, "n_head"),
            width=_number(arguments, "n_embd"),
            block_size=_number(arguments, "block_size"),
            input_vocab=_number(arguments, "input_vocab_size"),
            output_vocab=_number(arguments, "output_vocab_size"),
            bias=bool(arguments.get("bias", True)),  # nanoGPT's default
        )


def _number(arguments: dict[str, object], key: str) -> int:
    value = arguments.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        shown = "an object that is no number" if isinstance(value, Inert) else repr(value)
        raise CheckpointError(f"model_args.{key} is {shown}, expected a positive whole number.")
    return value
