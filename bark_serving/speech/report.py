"""The report of an answer. A `SpeechJob` makes it, clients get it as JSON, and the metrics count it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bark_serving.speech.guard import Verdict

Unit = Literal["tokens", "frames"]


@dataclass(frozen=True)
class StageTime:
    """What one stage took for one request. Pieces run side by side, and their seconds add up."""

    seconds: float
    calls: int
    amount: int  #: what the stage made, in units
    unit: Unit

    def wire(self) -> dict[str, float]:
        return {"seconds": round(self.seconds, 4), "calls": self.calls, self.unit: self.amount}


@dataclass(frozen=True)
class PieceReport:
    """What became of one piece of the text."""

    text: str
    start: float  #: seconds of audio before it
    seconds: float  #: of its audio
    voice: str | None  #: the name of its voice
    verdict: Verdict
    attempts: int  #: takes that were made of it

    def wire(self) -> dict[str, Any]:
        return asdict(self) | {"start": round(self.start, 4), "seconds": round(self.seconds, 4)}


@dataclass(frozen=True)
class SpeechSummary:
    """What a whole request took. Only the last answer has one."""

    seed: int
    text: str
    stages: Mapping[str, StageTime]  #: by name, in the order of the pipeline
    seconds: float  #: from the request to its last audio
    first_audio_seconds: float | None  #: from the request to its first audio; None if there is no audio
    audio_seconds: float
    warnings: Sequence[str]
    pieces: Sequence[PieceReport] = ()
    checkpoint: str = ""  #: which one spoke: its name and the begin of its hash

    def wire(self) -> dict[str, Any]:
        first = self.first_audio_seconds
        return {
            **asdict(self),
            "pieces": [piece.wire() for piece in self.pieces],
            "stages": {name: stage.wire() for name, stage in self.stages.items()},
            "seconds": round(self.seconds, 4),
            "first_audio_seconds": None if first is None else round(first, 4),
        }


@dataclass(frozen=True)
class SpeechReport:
    """The report of one answer."""

    sentence: int  #: which piece the audio belongs to, from 0
    sentences: int  #: how many pieces the text has
    sample_rate: int
    summary: SpeechSummary | None = None
    piece: str = ""  #: the text of that piece, as it is spoken

    @property
    def last(self) -> bool:
        """Whether this is the last answer of its request."""
        return self.summary is not None

    def to_json(self) -> bytes:
        """The output ``report`` of the model `bark`: one flat JSON object. UTF-8."""
        answer = {
            "sentence": self.sentence,
            "sentences": self.sentences,
            "last": self.last,
            "sample_rate": self.sample_rate,
            "piece": self.piece,
        }
        return json.dumps(answer | (self.summary.wire() if self.summary else {}), ensure_ascii=False).encode()
