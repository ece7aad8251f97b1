"""Finding a checkpoint's networks among the files of a place, whatever format they are in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

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
from build_engines.checkpoints.formats.weight_files import INDEX, main_file, read_weights, shards
from build_engines.checkpoints.sources import Place, locate
from build_engines.errors import CheckpointError, SourceError

Format = Literal["transformers", "suno"]
TOKENIZERS = ("tokenizer.json", "vocab.txt")
CONFIGS = ("config.json", "generation_config.json")


@dataclass
class Read:
    """What has been read of a checkpoint."""

    parts: dict[Network, Part[Any]] = field(default_factory=dict)
    sampling: SamplingSpec = field(default_factory=SamplingSpec)
    used: dict[Path, str] = field(default_factory=dict)  #: file → its name in the spec

    def note(self, place: Place, folder: Path, part: Part[Any]) -> None:
        """Remember the files of a part, for the spec's `sources`."""
        for path in part.files:
            label = place.label(path.relative_to(folder).as_posix())
            self.used[path] = f"{place.title}/{label}" if label in self.used.values() else label


def layout(place: Place, names: list[str], *, wanted: Format | None = None) -> Format:
    """The layout of a place, by its file names: `wanted`, else transformers' where both are there.

    Raises `SourceError` when it holds neither, or not the one that is wanted.
    """
    has_transformers = "config.json" in names and main_file(names) is not None
    has_suno = bool({file for pair in suno.FILES.values() for file in pair} & set(names))
    there = {"transformers": has_transformers, "suno": has_suno}
    if wanted and there[wanted]:
        return wanted
    if wanted or not any(there.values()):
        raise SourceError(
            f"{place.text} holds no Bark checkpoint{f' in the format {wanted}' if wanted else ''}.",
            remedy="Expected config.json with model.safetensors or pytorch_model.bin, or text_2.pt, coarse_2.pt and "
            "fine_2.pt (or text.pt, coarse.pt, fine.pt).",
        )
    return "transformers" if has_transformers else "suno"


def _weights(place: Place, names: list[str], *extra: str) -> tuple[Path, str]:
    """Fetch a transformers folder's weights and its JSON files; the folder, and the file or index to read."""
    weights = main_file(names)
    if weights is None or "config.json" not in names:
        raise SourceError(f"{place.text} has no config.json with model.safetensors or pytorch_model.bin.")
    wanted = [weights, "config.json", *(name for name in extra if name in names)]
    folder = place.fetch(wanted)
    if weights in INDEX:
        folder = place.fetch([*wanted, *shards(folder / weights)])
    return folder, weights


def read_transformers(place: Place, names: list[str], *, read: Read) -> None:
    """Add Bark in transformers' format to `read`. Raises `SourceError` or `CheckpointError`."""
    folder, weights = _weights(place, names, *CONFIGS)
    bark = bark_transformers.read(folder, weights=weights)
    read.parts |= {"semantic": bark.semantic, "coarse": bark.coarse, "fine": bark.fine, "encodec": bark.encodec}
    read.sampling = bark.sampling
    read.note(place, folder, bark.fine)


def read_suno(place: Place, names: list[str], *, small: bool, encodec: str | None, read: Read) -> None:
    """Add Suno's three files to `read`, and an Encodec from `encodec` or the same place. Raises as above."""
    try:
        chosen = suno.choose(names, small=small)
    except CheckpointError as error:
        raise CheckpointError(f"{place.text}: {error.problem}", remedy=error.remedy) from error
    codec_place = locate(encodec) if encodec else place
    codec_folder, codec_file = _fetch_encodec(codec_place, codec_place.names() if encodec else names)
    folder = place.fetch(chosen.values())
    fine, codebooks = suno.read_fine(folder / chosen["fine"])
    read.parts |= {
        "semantic": suno.read_semantic(folder / chosen["semantic"]),
        "coarse": suno.read_coarse(folder / chosen["coarse"]),
        "fine": fine,
        "encodec": _read_encodec(codec_folder, codec_file, codebooks),
    }
    for network in chosen:
        read.note(place, folder, read.parts[network])
    read.note(codec_place, codec_folder, read.parts["encodec"])


def _fetch_encodec(place: Place, names: list[str]) -> tuple[Path, str]:
    """Encodec's own file if there is one, else the weights of a folder of its own in transformers' format."""
    original = [name for name in names if name.endswith(".th")]
    if original:
        return place.fetch(original[:1]), original[0]
    if "config.json" in names:
        config = read_json(place.fetch(["config.json"]) / "config.json")
        if config.get("model_type") != "bark":
            return _weights(place, names)
    raise SourceError(
        f"{place.text} has no Encodec (encodec_24khz-….th).",
        remedy="Give it with --encodec: the file, or facebook/encodec_24khz.",
    )


def _read_encodec(folder: Path, name: str, codebooks: int) -> Part[EncodecSpec]:
    if name.endswith(".th"):
        return encodec_original.read(folder / name, codebooks=codebooks)
    tensors, files = read_weights(folder, name)
    return encodec_transformers.read(
        tensors,
        read_json(folder / "config.json"),
        codebooks=codebooks,
        source=str(folder / name),
        files=(folder / "config.json", *files),
    )


def read_hubert(hubert: str, head: str, *, layer: int, read: Read) -> None:
    """Add HuBERT and its token head to `read`. Raises `SourceError` or `CheckpointError`."""
    head_place, place = locate(head), locate(hubert)
    head_file = _only(head_place, head_place.names(), (".pth", ".pt"), "--hubert-head")
    names = place.names()
    if "config.json" in names:
        folder, weights = _weights(place, names, "preprocessor_config.json")
        part = _transformers_hubert(folder, weights, layer)
    else:
        file = _only(place, names, (".pt",), "--hubert")
        folder = place.fetch([file])
        part = hubert_fairseq.read(folder / file, feature_layer=layer)
    head_folder = head_place.fetch([head_file])
    head_part = token_head.read(head_folder / head_file)
    read.note(place, folder, part)
    read.note(head_place, head_folder, head_part)
    read.parts["hubert"] = _join(part, head_part)


def _transformers_hubert(folder: Path, weights: str, layer: int) -> Part[HubertSpec]:
    tensors, files = read_weights(folder, weights)
    features = folder / "preprocessor_config.json"
    return hubert_transformers.read(
        tensors,
        read_json(folder / "config.json"),
        feature_layer=layer,
        sample_rate=read_json(features).get("sampling_rate") if features.exists() else None,
        source=str(folder / weights),
        files=(folder / "config.json", *files),
    )


def _join(hubert: Part[HubertSpec], head: Part[TokenHeadSpec]) -> Part[HubertSpec]:
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


def _only(place: Place, names: list[str], suffixes: tuple[str, ...], option: str) -> str:
    found = [name for name in names if name.endswith(suffixes)]
    if len(found) == 1:
        return found[0]
    raise SourceError(
        f"{place.text} has {len(found)} files that end in {' or '.join(suffixes)}, expected one.",
        remedy=f"Name the file: {option} {place.text}{':' if place.folder is None else '/'}FILE.",
    )


def find_tokenizer(given: str | None, place: Place, names: list[str], read: Read) -> tuple[Tokenizer, str]:
    """The tokenizer at `given`, else that of the checkpoint's own place; and its file, for messages.

    Raises `SourceError` or `CheckpointError`.
    """
    if given:
        place = locate(given)
        names = place.names()
    found = [name for name in TOKENIZERS if name in names]
    if given and place.only is not None:
        found = [place.only]
    if not found:
        raise SourceError(
            f"{place.text} has no tokenizer.json or vocab.txt.",
            remedy="Give Bark's with --tokenizer bert-base-multilingual-cased (or its vocab.txt).",
        )
    path = place.fetch(found[:1]) / found[0]
    read.used[path] = place.label(found[0])
    return read_tokenizer(path), str(path)
