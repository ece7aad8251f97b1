"""A checkpoint in any of its formats → a bundle."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bark_serving.bundle import Bundle
from bark_serving.host.files import sha256
from bark_serving.spec import NETWORKS, GptSpec, Network, SamplingSpec, Source, Spec
from build_engines.bundles.tokenizers import check_tokenizer
from build_engines.bundles.writer import new_bundle
from build_engines.checkpoints import voices
from build_engines.checkpoints.formats.config import check_numbers, validated
from build_engines.checkpoints.formats.tensors import Part
from build_engines.checkpoints.readers import (
    Format,
    SourceFile,
    find_format,
    find_tokenizer,
    read_hubert,
    read_suno,
    read_transformers,
)
from build_engines.checkpoints.sources import Place, locate
from build_engines.errors import SourceError, naming
from build_engines.steps import OnStep, ignore_steps, report_steps

STEPS = ("locating", "reading", "semantic", "coarse", "fine", "encodec", "hubert", "voices", "checksums")
FETCHING = STEPS[:2]  #: the steps in which files may come from the hub

#: layers, heads, width of all three transformers → the name by which Suno's release of that size is known
_KNOWN_SIZES = {(24, 16, 1024): "bark-large", (12, 12, 768): "bark-small"}


@dataclass(frozen=True)
class Request:
    """What to import. A place is a path, or `OWNER/NAME` or `OWNER/NAME:FILE` of the hub."""

    source: str
    name: str | None = None
    format: Format | None = None  #: None: transformers' if the source has it, or else Suno's
    small: bool = False  #: of Suno's files, prefer the small ones
    hubert: str | None = None
    hubert_head: str | None = None
    hubert_layer: int | None = None  #: None: what the head's file says, else the published heads' layer
    encodec: str | None = None  #: for Suno's files; transformers' format has its own
    tokenizer: str | None = None
    voices: str | None = None
    no_voices: bool = False
    revision: str | None = None


def import_bundle(request: Request, out: Path, *, force: bool = False, on_step: OnStep = ignore_steps) -> Bundle:
    """Import a checkpoint to `out`. If anything fails, nothing is left there.

    `on_step` is told each of `STEPS` as it begins. Raises `SourceError`, `CheckpointError` or `OutputError`.
    """
    if (request.hubert is None) != (request.hubert_head is None):
        raise SourceError(
            "HuBERT and its token head are needed together.", remedy="Give both --hubert and --hubert-head, or neither."
        )
    report = report_steps(on_step, STEPS)
    with new_bundle(out, force=force) as bundle:
        report("locating")
        place = locate(request.source, revision=request.revision)
        source_format = find_format(place, requested=request.format)
        report("reading")
        # What is small to fetch comes first. A forgotten option is then reported before gigabytes are fetched.
        tokenizer, tokenizer_file = find_tokenizer(request.tokenizer, place)
        read = []
        if request.hubert and request.hubert_head:
            read.append(read_hubert(request.hubert, request.hubert_head, layer=request.hubert_layer))
        if source_format == "transformers":
            bark = read_transformers(place)
        else:
            bark = read_suno(place, small=request.small, encodec=request.encodec)
        read.append(bark)
        parts = {network: part for networks in read for network, part in networks.parts.items()}
        voice_folder, chosen = _fetch_voices(request, place)
        with naming(place.text):
            spec = _spec(request, place, parts, bark.sampling)
            check_numbers(spec)
        with naming(tokenizer_file.path):
            check_tokenizer(tokenizer, spec=spec)
        bundle.tokenizer(tokenizer.to_str())
        for network in sorted(parts, key=NETWORKS.index):
            report(network)
            with naming(parts[network].source):
                bundle.network(network, parts[network].tensors, spec=spec)
        report("voices")
        for name, files in chosen.items():
            voices.write_voice(bundle.voice(name), voices.read_voice(name, voice_folder, files, spec=spec))
        report("checksums")
        used = [tokenizer_file, *(file for networks in read for file in networks.files)]
        bundle.finish(spec.model_copy(update={"sources": _sources(used)}))
    return Bundle(out)


def _spec(request: Request, place: Place, parts: Mapping[Network, Part[Any]], sampling: SamplingSpec) -> Spec:
    numbers: dict[str, object] = {"hubert": None, **{network: part.spec for network, part in parts.items()}}
    gpts = {_size(parts[network].spec.gpt) for network in ("semantic", "coarse", "fine")}
    known = _KNOWN_SIZES.get(gpts.pop()) if len(gpts) == 1 else None
    name = request.name or known or re.sub(r"[^a-z0-9._-]+", "-", place.title.lower()).lstrip("._-") or "bark"
    return validated(Spec, name=name, sampling=sampling, **numbers)


def _size(gpt: GptSpec) -> tuple[int, int, int]:
    return gpt.layers, gpt.heads, gpt.width


def _sources(files: Iterable[SourceFile]) -> tuple[Source, ...]:
    """The files with their hashes. Of two files with the same label, the later one's is its place and label."""
    labels: dict[Path, str] = {}
    for file in files:
        labels[file.path] = f"{file.place}/{file.label}" if file.label in labels.values() else file.label
    labelled = sorted((label, path) for path, label in labels.items())
    return tuple(Source(file=label, sha256=sha256(path)) for label, path in labelled)


def _fetch_voices(request: Request, place: Place) -> tuple[Path, dict[str, tuple[str, ...]]]:
    """The folder of the requested voices, and the files of each."""
    if request.voices:
        place = locate(request.voices)
    elif request.no_voices or not any(name.startswith(voices.PREFIXES) for name in place.names):
        return Path(), {}
    chosen = voices.choose(place.names)
    if not chosen:
        raise SourceError(f"{place.text} holds no voices.", remedy="Expected .npz files, or .npy files in threes.")
    return place.fetch(file for files in chosen.values() for file in files), chosen
