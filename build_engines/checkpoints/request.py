"""What to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from build_engines.checkpoints.sources import Place, locate

Format = Literal["transformers", "suno"]


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

    def places(self) -> dict[str, Place]:
        """The places that are named, by the option that names them. Raises `SourceError` for a path that is none."""
        places = {"source": locate(self.source, revision=self.revision)}
        for option in ("hubert", "hubert_head", "encodec", "tokenizer", "voices"):
            if text := getattr(self, option):
                places[option] = locate(text, bare=option == "tokenizer")
        return places
