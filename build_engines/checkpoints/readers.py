"""Finding and reading a checkpoint's networks among the files of a place, in each of its formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from bark_serving.spec import EncodecSpec, HubertSpec, Network, SamplingSpec, TokenHeadSpec
from build_engines.bundles.tokenizers import read_tokenizer
from build_engines.checkpoints.formats import (
    bark_transformers,
    encodec_original,
    encodec_transformers,
    hubert_fairseq,
    hubert_transformers,
    suno,
    token_head,
)
from build_engines.checkpoints.formats.config import read_json
from build_engines.checkpoints.formats.tensors import Part
from build_engines.checkpoints.formats.weight_files import is_index, main_file, read_weights, shards
from build_engines.checkpoints.request import Format
from build_engines.checkpoints.sources import Place, locate
from build_engines.errors import CheckpointError, SourceError, naming

TOKENIZERS = ("tokenizer.json", "vocab.txt")
CONFIG = "config.json"


@dataclass(frozen=True)
class SourceFile:
    """A file that was read."""

    path: Path
    label: str  #: its name in the bundle's spec
    place: str  #: title of the place it is from, which tells apart files of the same label


@dataclass(frozen=True)
class Networks:
    """What a reader returns: networks, the files they were read from, and how the checkpoint samples if it says so."""

    parts: Mapping[Network, Part[Any]]
    files: tuple[SourceFile, ...]
    sampling: SamplingSpec = field(default_factory=SamplingSpec)


def _source_files(place: Place, folder: Path, *parts: Part[Any]) -> tuple[SourceFile, ...]:
    paths = dict.fromkeys(path for part in parts for path in part.files)
    return tuple(SourceFile(path, place.label(path.relative_to(folder).as_posix()), place.title) for path in paths)


def find_format(place: Place, *, requested: Format | None = None) -> Format:
    """The format of a place, by its file names. If it holds both: `requested`, or else transformers'.

    Raises `SourceError` if it holds neither, or not the requested one.
    """
    suno_files = {file for pair in suno.FILES.values() for file in pair}
    found: dict[Format, bool] = {
        "transformers": CONFIG in place.names and main_file(place.names) is not None,
        "suno": bool(suno_files & set(place.names)),
    }
    chosen = next((name for name in found if found[name] and requested in (None, name)), None)
    if chosen is None:
        raise SourceError(
            f"{place.text} holds no Bark checkpoint{f' in the format {requested}' if requested else ''}.",
            remedy="Expected config.json with model.safetensors or pytorch_model.bin, or text_2.pt, coarse_2.pt and "
            "fine_2.pt (or text.pt, coarse.pt, fine.pt).",
        )
    return chosen


def _fetch_weights(place: Place, *extra: str) -> tuple[Path, str]:
    """Fetch the weights and JSON files of a transformers folder. Returns the folder, and the file or index to read."""
    weights = main_file(place.names)
    if weights is None or CONFIG not in place.names:
        raise SourceError(f"{place.text} has no config.json with model.safetensors or pytorch_model.bin.")
    names = [weights, CONFIG, *(name for name in extra if name in place.names)]
    folder = place.fetch(names)
    if is_index(weights):
        folder = place.fetch([*names, *shards(folder / weights)])
    return folder, weights


def read_transformers(place: Place) -> Networks:
    """Bark in transformers' format. Raises `SourceError` or `CheckpointError`."""
    folder, weights = _fetch_weights(place, bark_transformers.GENERATION)
    bark = bark_transformers.read(folder, weights=weights)
    parts: dict[Network, Part[Any]] = {
        "semantic": bark.semantic,
        "coarse": bark.coarse,
        "fine": bark.fine,
        "encodec": bark.encodec,
    }
    return Networks(parts, _source_files(place, folder, bark.fine), bark.sampling)


def read_suno(place: Place, *, small: bool, encodec: str | None) -> Networks:
    """Suno's three files, and an Encodec from `encodec` or the same place. Raises as above."""
    with naming(place.text):
        chosen = suno.choose(place.names, small=small)
    codec_place = locate(encodec) if encodec else place
    codec_folder, codec_file = _fetch_encodec(codec_place)
    folder = place.fetch(chosen.values())
    fine, codebooks = suno.read_fine(folder / chosen["fine"])
    parts: dict[Network, Part[Any]] = {
        "semantic": suno.read_semantic(folder / chosen["semantic"]),
        "coarse": suno.read_coarse(folder / chosen["coarse"]),
        "fine": fine,
    }
    codec = _read_encodec(codec_folder, codec_file, codebooks)
    files = (*_source_files(place, folder, *parts.values()), *_source_files(codec_place, codec_folder, codec))
    return Networks({**parts, "encodec": codec}, files)


def _fetch_encodec(place: Place) -> tuple[Path, str]:
    """Fetch Encodec's own file, or its weights in transformers' format. Returns the folder and the file to read."""
    original = [name for name in place.names if name.endswith(".th")]
    if original:
        return place.fetch(original[:1]), original[0]
    if CONFIG in place.names:
        config = read_json(place.fetch([CONFIG]) / CONFIG)
        if config.get("model_type") != "bark":
            return _fetch_weights(place)
    raise SourceError(
        f"{place.text} has no Encodec (encodec_24khz-….th).",
        remedy="Give it with --encodec: the file, or facebook/encodec_24khz.",
    )


def _read_encodec(folder: Path, name: str, codebooks: int) -> Part[EncodecSpec]:
    if name.endswith(".th"):
        return encodec_original.read(folder / name, codebooks=codebooks)
    tensors, files = read_weights(folder, name)
    with naming(folder / CONFIG):
        spec = encodec_transformers.read_spec(read_json(folder / CONFIG), codebooks=codebooks)
    with naming(folder / name):
        ours = encodec_transformers.read_tensors(tensors, codebooks=codebooks)
    return Part(spec, ours, str(folder / name), (folder / CONFIG, *files))


def read_hubert(hubert: str, head: str, *, layer: int | None) -> Networks:
    """HuBERT with its token head, which reads the given layer. Raises `SourceError` or `CheckpointError`.

    None is the layer that the head's file names, else the layer of the published heads.
    """
    head_place, place = locate(head), locate(hubert)
    head_file = _only_file(head_place, (".pth", ".pt"), "--hubert-head")
    head_folder = head_place.fetch([head_file])
    head_part = token_head.read(head_folder / head_file)
    layer = token_head.feature_layer(head_folder / head_file, given=layer)
    if CONFIG in place.names:
        folder, weights = _fetch_weights(place, "preprocessor_config.json")
        part = _read_transformers_hubert(folder, weights, layer)
    else:
        file = _only_file(place, (".pt",), "--hubert")
        folder = place.fetch([file])
        part = hubert_fairseq.read(folder / file, feature_layer=layer)
    files = (*_source_files(place, folder, part), *_source_files(head_place, head_folder, head_part))
    return Networks({"hubert": _with_head(part, head_part)}, files)


def _read_transformers_hubert(folder: Path, weights: str, layer: int) -> Part[HubertSpec]:
    tensors, files = read_weights(folder, weights)
    features = folder / "preprocessor_config.json"
    rate = read_json(features).get("sampling_rate") if features.exists() else None
    with naming(folder / CONFIG):
        config = read_json(folder / CONFIG)
        spec = hubert_transformers.read_spec(config, feature_layer=layer, sample_rate=rate)
    with naming(folder / weights):
        ours = hubert_transformers.read_tensors(tensors)
    return Part(spec, ours, str(folder / weights), (folder / CONFIG, *files))


def _with_head(hubert: Part[HubertSpec], head: Part[TokenHeadSpec]) -> Part[HubertSpec]:
    spec = hubert.spec
    if head.spec.input_width != spec.width:
        raise CheckpointError(
            f"{head.source}: the head reads features {head.spec.input_width} wide, {hubert.source} makes {spec.width}.",
            remedy="Give the HuBERT model that the head was trained on (hubert_base_ls960).",
        )
    if not 1 <= spec.feature_layer <= spec.layers:
        raise CheckpointError(
            f"{hubert.source}: layer {spec.feature_layer} is asked for, the model has 1..{spec.layers}.",
            remedy="Give another --hubert-layer.",
        )
    return Part(
        spec.model_copy(update={"head": head.spec}),
        {**hubert.tensors, **head.tensors},
        f"{hubert.source} and {head.source}",
        (*hubert.files, *head.files),
    )


def _only_file(place: Place, suffixes: tuple[str, ...], option: str) -> str:
    found = [name for name in place.names if name.endswith(suffixes)]
    if len(found) == 1:
        return found[0]
    raise SourceError(
        f"{place.text} has {len(found)} files that end in {' or '.join(suffixes)}, expected one.",
        remedy=f"Name the file: {option} {place.text}{':' if place.folder is None else '/'}FILE.",
    )


def find_tokenizer(given: str | None, place: Place) -> tuple[Tokenizer, SourceFile]:
    """The tokenizer at `given`, else that of the checkpoint's own place. Raises `SourceError` or `CheckpointError`."""
    if given:
        place = locate(given, bare=True)
    found = [name for name in TOKENIZERS if name in place.names]
    if given and place.only is not None:
        found = [place.only]
    if not found:
        raise SourceError(
            f"{place.text} has no tokenizer.json or vocab.txt.",
            remedy="Give Bark's with --tokenizer bert-base-multilingual-cased (or its vocab.txt).",
        )
    path = place.fetch(found[:1]) / found[0]
    return read_tokenizer(path), SourceFile(path, place.label(found[0]), place.title)
