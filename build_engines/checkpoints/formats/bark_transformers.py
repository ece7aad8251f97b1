"""Bark in transformers' format (`suno/bark`, `suno/bark-small`): one state dict of all networks, and two JSON files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bark_serving.spec import CoarseSpec, EncodecSpec, FineSpec, GptSpec, SamplingSpec, SemanticSpec
from build_engines.checkpoints.formats import encodec_transformers
from build_engines.checkpoints.formats.config import pick, read_json, section, validated
from build_engines.checkpoints.formats.fine_heads import merge_heads
from build_engines.checkpoints.formats.tensors import Part, SpecPart, Table, Tensors, rename, with_prefix
from build_engines.checkpoints.formats.weight_files import read_weights
from build_engines.errors import CheckpointError, naming

CONFIG, GENERATION = "config.json", "generation_config.json"

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
STAGES = {"semantic": GPT, "coarse_acoustics": GPT, "fine_acoustics": FINE}  #: their name → names of its tensors
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
class _Files:
    """The contents of a checkpoint's files."""

    config: Mapping[str, object]
    generation: Mapping[str, object]  #: empty if there is no such file
    tensors: Tensors
    paths: tuple[Path, ...]


def read(folder: Path, *, weights: str) -> BarkParts:
    """A checkpoint whose weights (file or index) are called `weights`. Raises `CheckpointError`."""
    files = _load(folder, weights)
    numbers = [section(files.generation, f"{stage}_config") for stage in STAGES]
    with naming(folder / CONFIG):
        gpts = [_gpt(files.config, stage) for stage in STAGES]
        codebooks, given = _codebooks(section(files.config, "fine_acoustics_config"))
        with naming("codec_config"):
            encodec = encodec_transformers.read_spec(section(files.config, "codec_config"), codebooks=codebooks)
    with naming(folder / GENERATION):
        semantic = validated(SemanticSpec, gpt=gpts[0], **pick(numbers[0], SEMANTIC_NUMBERS))
        coarse = validated(CoarseSpec, gpt=gpts[1], offset=semantic.vocab, **pick(numbers[1], COARSE_NUMBERS))
        fine = validated(
            FineSpec,
            gpt=gpts[2],
            codebooks_given=given,
            **pick(files.generation, {"codebook_size": "pad_token"}),
            **pick(numbers[2], FINE_NUMBERS),
            **pick(numbers[2], {"max_fine_history_length": "hop"}),  # transformers moves its window by the history
        )
        sampling = _sampling(numbers)
    with naming(folder / weights):
        ours = [rename(with_prefix(files.tensors, f"{stage}."), table) for stage, table in STAGES.items()]
        fine_tensors, tied = merge_heads(ours[2], codebooks=codebooks, given=given)
        codec = encodec_transformers.read_tensors(with_prefix(files.tensors, "codec_model."), codebooks=codebooks)

    def part(spec: SpecPart, tensors: Tensors) -> Part[SpecPart]:
        return Part(spec, tensors, str(folder / weights), files.paths)

    return BarkParts(
        semantic=part(semantic, ours[0]),
        coarse=part(coarse, ours[1]),
        fine=part(fine.model_copy(update={"tied_heads": tied}), fine_tensors),
        encodec=part(encodec, codec),
        sampling=sampling,
    )


def _load(folder: Path, weights: str) -> _Files:
    generation_file = folder / GENERATION
    generation = read_json(generation_file) if generation_file.exists() else {}
    tensors, paths = read_weights(folder, weights)
    for name, tensor in tensors.items():
        if not name.startswith(PREFIXES):
            raise CheckpointError(f"{folder / weights}: tensor {name} {list(tensor.shape)} is not expected.")
    return _Files(
        config=read_json(folder / CONFIG),
        generation=generation,
        tensors=tensors,
        paths=(folder / CONFIG, *((generation_file,) if generation else ()), *paths),
    )


def _gpt(config: Mapping[str, object], stage: str) -> GptSpec:
    with naming(f"{stage}_config"):
        return validated(GptSpec, **{**GPT_DEFAULTS, **pick(section(config, f"{stage}_config"), GPT_NUMBERS)})


def _codebooks(config: Mapping[str, object]) -> tuple[int, int]:
    """The number of codebooks, and how many of them the fine network is given."""
    codebooks, given = config.get("n_codes_total", 8), config.get("n_codes_given", 1)
    if not isinstance(codebooks, int) or not isinstance(given, int):
        raise CheckpointError("n_codes_total or n_codes_given is not a whole number.")
    return codebooks, given


def _sampling(numbers: list[dict[str, object]]) -> SamplingSpec:
    """The temperatures in the file. 1.0 counts as absent: transformers writes it when nobody chose one."""
    chosen: dict[str, object] = {
        f"{stage}_temperature": its["temperature"]
        for stage, its in zip(("semantic", "coarse", "fine"), numbers, strict=True)
        if its.get("temperature") not in (None, 1.0)
    }
    return validated(SamplingSpec, **chosen, **pick(numbers[0], {"min_eos_p": "min_eos_p"}))
