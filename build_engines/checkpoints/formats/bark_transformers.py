"""Bark in transformers' format (`suno/bark`, `suno/bark-small`): one state dict of all networks, and two JSON files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bark_serving.spec import CoarseSpec, EncodecSpec, FineSpec, GptSpec, SamplingSpec, SemanticSpec
from build_engines.checkpoints.formats import encodec_transformers
from build_engines.checkpoints.formats.config import made, read_json, section, taken
from build_engines.checkpoints.formats.tensors import Part, Table, Tensors, rename, under
from build_engines.checkpoints.formats.tied_heads import tie
from build_engines.checkpoints.formats.weight_files import read_weights
from build_engines.errors import CheckpointError

GPT: Table = (
    ("input_embeds_layer.weight", "token_embedding.weight"),
    ("position_embeds_layer.weight", "position_embedding.weight"),
    ("layers.{i}.layernorm_1.{p}", "layers.{i}.attention_norm.{p}"),
    ("layers.{i}.attn.bias", None),  # the causal mask
    ("layers.{i}.attn.att_proj.{p}", "layers.{i}.attention.qkv.{p}"),
    ("layers.{i}.attn.out_proj.{p}", "layers.{i}.attention.out.{p}"),
    ("layers.{i}.layernorm_2.{p}", "layers.{i}.mlp_norm.{p}"),
    ("layers.{i}.mlp.in_proj.{p}", "layers.{i}.mlp.up.{p}"),
    ("layers.{i}.mlp.out_proj.{p}", "layers.{i}.mlp.down.{p}"),
    ("layernorm_final.{p}", "norm.{p}"),
    ("lm_head.weight", "head.weight"),
)
FINE: Table = (
    *GPT,
    ("input_embeds_layers.{i}.weight", "embeddings.{i}"),
    ("lm_heads.{i}.weight", "heads.{i}"),
)
STAGES = ("semantic", "coarse_acoustics", "fine_acoustics")
PREFIXES = (*(f"{stage}." for stage in STAGES), "codec_model.")  #: of each network's tensors

GPT_NUMBERS = {
    "num_layers": "layers",
    "num_heads": "heads",
    "hidden_size": "width",
    "block_size": "block_size",
    "input_vocab_size": "input_vocab",
    "output_vocab_size": "output_vocab",
    "bias": "bias",
}
#: What transformers' configuration classes assume where the file says nothing.
GPT_DEFAULTS = {"layers": 12, "heads": 12, "width": 768, "input_vocab": 10_048, "output_vocab": 10_048, "bias": True}
SEMANTIC_NUMBERS = {
    "semantic_vocab_size": "vocab",
    "semantic_pad_token": "end_token",
    "text_encoding_offset": "text_offset",
    "text_pad_token": "text_pad",
    "semantic_infer_token": "infer_token",
    "max_input_semantic_length": "text_context",
    "max_new_tokens": "max_steps",
    "semantic_rate_hz": "rate_hz",
}
COARSE_NUMBERS = {
    "n_coarse_codebooks": "codebooks",
    "coarse_semantic_pad_token": "semantic_pad",
    "coarse_infer_token": "infer_token",
    "max_coarse_input_length": "semantic_context",
    "max_coarse_history": "max_history",
    "sliding_window_len": "window",
}
FINE_NUMBERS = {"max_fine_input_length": "window", "max_fine_history_length": "max_history"}


@dataclass(frozen=True)
class BarkParts:
    """The four networks of a Bark checkpoint, and how it samples."""

    semantic: Part[SemanticSpec]
    coarse: Part[CoarseSpec]
    fine: Part[FineSpec]
    encodec: Part[EncodecSpec]
    sampling: SamplingSpec


@dataclass(frozen=True)
class _Opened:
    """A checkpoint's files, read."""

    config: Mapping[str, object]
    generation: Mapping[str, object]
    tensors: Tensors
    files: tuple[Path, ...]
    source: str
    config_file: str
    generation_file: str


def read(folder: Path, *, weights: str) -> BarkParts:
    """A checkpoint whose weights (file or index) are called `weights`. Raises `CheckpointError`."""
    opened = _open(folder, weights)
    source, files = opened.source, opened.files
    numbers = [section(opened.generation, f"{stage}_config") for stage in STAGES]
    semantic = made(
        SemanticSpec,
        source=opened.generation_file,
        gpt=_gpt(opened, "semantic"),
        **taken(numbers[0], SEMANTIC_NUMBERS),
    )
    coarse = made(
        CoarseSpec,
        source=opened.generation_file,
        gpt=_gpt(opened, "coarse_acoustics"),
        offset=semantic.vocab,
        **taken(numbers[1], COARSE_NUMBERS),
    )
    fine, codebooks = _fine(opened, numbers[2])
    codec = under(opened.tensors, "codec_model.")
    codec_config = section(opened.config, "codec_config")
    return BarkParts(
        semantic=Part(semantic, rename(under(opened.tensors, "semantic."), GPT, source=source), source, files),
        coarse=Part(coarse, rename(under(opened.tensors, "coarse_acoustics."), GPT, source=source), source, files),
        fine=fine,
        encodec=encodec_transformers.read(codec, codec_config, codebooks=codebooks, source=source, files=files),
        sampling=_sampling(numbers, opened.generation_file),
    )


def _open(folder: Path, weights: str) -> _Opened:
    config_file, generation_file = folder / "config.json", folder / "generation_config.json"
    generation = read_json(generation_file) if generation_file.exists() else {}
    tensors, files = read_weights(folder, weights)
    for name, tensor in tensors.items():
        if not name.startswith(PREFIXES):
            raise CheckpointError(f"{folder / weights}: tensor {name} {list(tensor.shape)} is not expected.")
    return _Opened(
        config=read_json(config_file),
        generation=generation,
        tensors=tensors,
        files=(config_file, *((generation_file,) if generation else ()), *files),
        source=str(folder / weights),
        config_file=str(config_file),
        generation_file=str(generation_file),
    )


def _gpt(opened: _Opened, stage: str) -> GptSpec:
    numbers = {**GPT_DEFAULTS, **taken(section(opened.config, f"{stage}_config"), GPT_NUMBERS)}
    return made(GptSpec, source=f"{opened.config_file}: {stage}_config", **numbers)


def _fine(opened: _Opened, numbers: Mapping[str, object]) -> tuple[Part[FineSpec], int]:
    ours = section(opened.config, "fine_acoustics_config")
    codebooks, given = ours.get("n_codes_total", 8), ours.get("n_codes_given", 1)
    if not isinstance(codebooks, int) or not isinstance(given, int):
        raise CheckpointError(f"{opened.config_file}: n_codes_total or n_codes_given is not a whole number.")
    spec = made(
        FineSpec,
        source=opened.generation_file,
        gpt=_gpt(opened, "fine_acoustics"),
        codebooks_given=given,
        **taken(opened.generation, {"codebook_size": "pad_token"}),
        **taken(numbers, FINE_NUMBERS),
        **taken(numbers, {"max_fine_history_length": "hop"}),  # transformers moves its window by the history's length
    )
    renamed = rename(under(opened.tensors, "fine_acoustics."), FINE, source=opened.source)
    tied = tie(renamed, codebooks=codebooks, given=given, source=opened.source)
    return Part(spec, tied, opened.source, opened.files), codebooks


def _sampling(numbers: list[dict[str, object]], source: str) -> SamplingSpec:
    """Temperatures that the file chooses; 1.0 is what transformers writes when nobody chose one."""
    chosen: dict[str, object] = {
        f"{stage}_temperature": its["temperature"]
        for stage, its in zip(("semantic", "coarse", "fine"), numbers, strict=True)
        if its.get("temperature") not in (None, 1.0)
    }
    return made(SamplingSpec, source=source, **chosen, **taken(numbers[0], {"min_eos_p": "min_eos_p"}))
