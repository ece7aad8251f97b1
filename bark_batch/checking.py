"""Before a job begins: do all servers speak, with these options, and alike?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bark_client import BarkClient, BarkError, InvalidRequest, ServerUnavailable
from bark_client.voice import VoiceLike

_TEXT: Final = "Hello."
_MAX_DURATION_S: Final = 0.5
_TIMEOUT_S: Final = 300.0  #: a large checkpoint on few cores takes minutes even for one word


@dataclass(frozen=True)
class Found:
    """What the servers are."""

    checkpoint: str
    sample_rate: int  #: Hz
    silent: dict[str, str]  #: servers that do not answer, and why


def check_servers(urls: Sequence[str], *, voice: VoiceLike | None, options: dict[str, Any]) -> Found:
    """Let each server speak a word.

    InvalidRequest if an option or the voice is wrong, or if servers have different checkpoints. ServerUnavailable if
    none answers: a job can begin without some of them.
    """
    spoken: dict[str, tuple[str, int]] = {}
    silent: dict[str, str] = {}
    for url in urls:
        try:
            spoken[url] = _speak(url, voice=voice, options=options)
        except ServerUnavailable as error:
            silent[url] = str(error)
    if not spoken:
        raise ServerUnavailable(next(iter(silent.values())))
    first, (checkpoint, rate) = next(iter(spoken.items()))
    for url, (other, _) in spoken.items():
        if other != checkpoint:
            raise InvalidRequest(
                f"the servers speak with different checkpoints: {first} with {checkpoint}, {url} with {other}; "
                "a job needs one"
            )
    return Found(checkpoint, rate, silent)


def _speak(url: str, *, voice: VoiceLike | None, options: dict[str, Any]) -> tuple[str, int]:
    limits = {"max_duration": min(_MAX_DURATION_S, options.get("max_duration") or _MAX_DURATION_S)}
    once = {"retries": 0, "on_failure": "warn"}
    with (
        BarkClient(url, timeout=_TIMEOUT_S) as bark,
        bark.stream(_TEXT, voice=voice, seed=0, **{**options, **limits, **once}) as stream,
    ):
        rate = 0
        for chunk in stream:
            rate = chunk.sample_rate
        if not rate:
            raise BarkError(f"the server at {url} answered without audio: see its log")
        return stream.summary.checkpoint, rate
