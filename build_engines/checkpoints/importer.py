"""A checkpoint in any of its formats → a bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bark_serving.bundle import Bundle
from bark_serving.spec import NETWORKS, GptSpec, Source, Spec
from build_engines.bundles.tokenizers import check_tokenizer
from build_engines.bundles.writer import new_bundle, sha256
from build_engines.checkpoints import voices
from build_engines.checkpoints.formats.config import check_numbers, made
from build_engines.checkpoints.readers import (
    Format,
    Read,
    find_tokenizer,
    layout,
    read_hubert,
    read_suno,
    read_transformers,
)
from build_engines.checkpoints.sources import Place, locate
from build_engines.errors import SourceError
from build_engines.steps import OnStep, ignore_steps, report_steps

STEPS = ("locating", "reading", "semantic", "coarse", "fine", "encodec", "hubert", "voices", "checksums")
FETCHING = STEPS[:2]  #: the steps in which files may come from the hub

#: layers, heads, width of all three transformers → the name by which Suno's release of that size is known
_KNOWN_SIZES = {(24, 16, 1024): "bark-large", (12, 12, 768): "bark-small"}


@dataclass(frozen=True)
class Request:
    """What to import. Places are as users write them: a path, `OWNER/NAME` or `OWNER/NAME:FILE` of the hub."""

    source: str
    name: str | None = None
    format: Format | None = None  #: None: transformers' if the source has it, else Suno's
    small: bool = False  #: of Suno's files, the small ones where both are there
    hubert: str | None = None
    hubert_head: str | None = None
    hubert_layer: int = 7
    encodec: str | None = None  #: for Suno's files; transformers' format has its own
    tokenizer: str | None = None
    voices: str | None = None
    no_voices: bool = False
    revision: str | None = None


def import_bundle(request: Request, out: Path, *, force: bool = False, on_step: OnStep = ignore_steps) -> Bundle:
    """Import a checkpoint to `out`. Nothing is left there unless everything fits.

    `on_step` is told each of `STEPS` before it starts. Raises `SourceError`, `CheckpointError` or `OutputError`.
    """
    if (request.hubert is None) != (request.hubert_head is None):
        raise SourceError(
            "HuBERT and its token head are needed together.", remedy="Give both --hubert and --hubert-head, or neither."
        )
    report = report_steps(on_step, STEPS)
    with new_bundle(out, force=force) as bundle:
        report("locating")
        place = locate(request.source, revision=request.revision)
        names = place.names()
        report("reading")
        source_format = layout(place, names, wanted=request.format)
        read = Read()
        # what is small to fetch comes first, so that a forgotten option is told before gigabytes have come
        tokenizer, tokenizer_file = find_tokenizer(request.tokenizer, place, names, read)
        if request.hubert and request.hubert_head:
            read_hubert(request.hubert, request.hubert_head, layer=request.hubert_layer, read=read)
        if source_format == "transformers":
            read_transformers(place, names, read=read)
        else:
            read_suno(place, names, small=request.small, encodec=request.encodec, read=read)
        voice_folder, chosen = _fetch_voices(request, place, names)
        spec = _spec(request, place, read)
        check_numbers(spec, source=place.text)
        check_tokenizer(tokenizer, spec=spec, source=tokenizer_file)
        bundle.tokenizer(tokenizer.to_str())
        for network in sorted(read.parts, key=NETWORKS.index):
            report(network)
            part = read.parts[network]
            bundle.network(network, part.tensors, spec=spec, source=part.source)
        report("voices")
        for name, files in chosen.items():
            voices.write_voice(bundle.voice(name), voices.read_voice(voice_folder, files, spec=spec))
        report("checksums")
        labelled = sorted((label, path) for path, label in read.used.items())
        sources = tuple(Source(file=label, sha256=sha256(path)) for label, path in labelled)
        bundle.finish(spec.model_copy(update={"sources": sources}))
    return Bundle(out)


def _spec(request: Request, place: Place, read: Read) -> Spec:
    numbers: dict[str, object] = {"hubert": None, **{network: part.spec for network, part in read.parts.items()}}
    gpts = {_size(read.parts[network].spec.gpt) for network in ("semantic", "coarse", "fine")}
    known = _KNOWN_SIZES.get(gpts.pop()) if len(gpts) == 1 else None
    name = request.name or known or re.sub(r"[^a-z0-9._-]+", "-", place.title.lower()).lstrip("._-") or "bark"
    return made(Spec, source=place.text, name=name, sampling=read.sampling, **numbers)


def _size(gpt: GptSpec) -> tuple[int, int, int]:
    return gpt.layers, gpt.heads, gpt.width


def _fetch_voices(request: Request, place: Place, names: list[str]) -> tuple[Path, dict[str, tuple[str, ...]]]:
    """The folder of the voices that are wanted, and the files of each."""
    if request.voices:
        place = locate(request.voices)
        names = place.names()
    elif request.no_voices or not any(name.startswith(voices.PREFIXES) for name in names):
        return Path(), {}
    chosen = voices.choose(names)
    if not chosen:
        raise SourceError(f"{place.text} holds no voices.", remedy="Expected .npz files, or .npy files in threes.")
    return place.fetch(file for files in chosen.values() for file in files), chosen
