"""A checkpoint in any of its formats → a bundle."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bark_serving.bundle import Bundle
from bark_serving.files import sha256
from bark_serving.spec import NETWORKS, GptSpec, Network, SamplingSpec, Source, Spec
from build_engines.bundles.tokenizers import check_coverage, check_tokenizer
from build_engines.bundles.writer import new_bundle
from build_engines.checkpoints.changes import VOICE_PREFIXES, write_record
from build_engines.checkpoints.formats.config import check_numbers, validated
from build_engines.checkpoints.formats.tensors import Part
from build_engines.checkpoints.readers import (
    SourceFile,
    find_format,
    find_tokenizer,
    read_hubert,
    read_suno,
    read_transformers,
)
from build_engines.checkpoints.request import Request
from build_engines.checkpoints.sources import Place, locate
from build_engines.checkpoints.voices import (
    LeftOut,
    OnLeftOut,
    choose,
    read_voices,
    warn_left_out,
    write_voice,
)
from build_engines.errors import SourceError, naming
from build_engines.steps import OnStep, ignore_steps, report_steps

STEPS = ("locating", "reading", "voices", "semantic", "coarse", "fine", "encodec", "hubert", "checksums")
FETCHING = STEPS[:2]  #: the steps in which files may come from the hub

#: layers, heads, width of all three transformers → the name by which Suno's release of that size is known
_KNOWN_SIZES = {(24, 16, 1024): "bark-large", (12, 12, 768): "bark-small"}


def import_bundle(
    request: Request,
    out: Path,
    *,
    force: bool = False,
    on_step: OnStep = ignore_steps,
    on_left_out: OnLeftOut = warn_left_out,
) -> Bundle:
    """Import a checkpoint to `out`. If anything fails, nothing is left there. A voice that fails is left out instead.

    `on_step` is told each of `STEPS` as it begins, `on_left_out` each voice that is left out, before a network is
    written. Raises `SourceError`, `CheckpointError` or `OutputError`.
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
        voice_folder, chosen = _fetch_voices(request, place, on_left_out)
        read = []
        if request.hubert and request.hubert_head:
            read.append(read_hubert(request.hubert, request.hubert_head, layer=request.hubert_layer))
        if source_format == "transformers":
            bark = read_transformers(place)
        else:
            bark = read_suno(place, small=request.small, encodec=request.encodec)
        read.append(bark)
        parts = {network: part for networks in read for network, part in networks.parts.items()}
        with naming(place.text):
            spec = _spec(request, place, parts, bark.sampling)
            check_numbers(spec)
        with naming(tokenizer_file.path):
            check_tokenizer(tokenizer, spec=spec)
            check_coverage(tokenizer, spec=spec)
        report("voices")
        for name, voice in read_voices(chosen, voice_folder, spec=spec, left_out=on_left_out).items():
            write_voice(bundle.voice(name), voice)
        bundle.tokenizer(tokenizer.to_str())
        for network in sorted(parts, key=NETWORKS.index):
            report(network)
            with naming(parts[network].source):
                bundle.network(network, parts[network].tensors, spec=spec)
        report("checksums")
        used = [tokenizer_file, *(file for networks in read for file in networks.files)]
        hashes = {path: sha256(path) for path in dict.fromkeys(file.path for file in used)}
        bundle.finish(spec.model_copy(update={"sources": _sources(used, hashes)}))
        of_voices = [voice_folder / file for files in chosen.values() for file in files]
        write_record(bundle.folder, request, hashes, others=of_voices)
    return Bundle(out)


def _spec(request: Request, place: Place, parts: Mapping[Network, Part[Any]], sampling: SamplingSpec) -> Spec:
    numbers: dict[str, object] = {"hubert": None, **{network: part.spec for network, part in parts.items()}}
    gpts = {_size(parts[network].spec.gpt) for network in ("semantic", "coarse", "fine")}
    known = _KNOWN_SIZES.get(gpts.pop()) if len(gpts) == 1 else None
    name = request.name or known or re.sub(r"[^a-z0-9._-]+", "-", place.title.lower()).lstrip("._-") or "bark"
    return validated(Spec, name=name, sampling=sampling, **numbers)


def _size(gpt: GptSpec) -> tuple[int, int, int]:
    return gpt.layers, gpt.heads, gpt.width


def _sources(files: Iterable[SourceFile], hashes: Mapping[Path, str]) -> tuple[Source, ...]:
    """The files with their hashes. Of two files with the same label, the later one's is its place and label."""
    labels: dict[Path, str] = {}
    for file in files:
        labels[file.path] = f"{file.place}/{file.label}" if file.label in labels.values() else file.label
    labelled = sorted((label, path) for path, label in labels.items())
    return tuple(Source(file=label, sha256=hashes[path]) for label, path in labelled)


def _fetch_voices(request: Request, place: Place, left_out: OnLeftOut) -> tuple[Path, dict[str, tuple[str, ...]]]:
    """The folder of the requested voices, and the files of each."""
    if request.voices:
        place = locate(request.voices)
    elif request.no_voices or not any(name.startswith(VOICE_PREFIXES) for name in place.names):
        return Path(), {}
    told: list[LeftOut] = []
    chosen = choose(place.names, left_out=told.append)
    for voice in told:
        left_out(voice)
    if not chosen and not told:
        raise SourceError(f"{place.text} holds no voices.", remedy="Expected .npz files, or .npy files in threes.")
    files = [file for files in chosen.values() for file in files]
    return place.fetch(files) if files else Path(), chosen
