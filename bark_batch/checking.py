"""Before a job begins: do all servers speak, with these options, and alike?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bark_client import BarkClient, BarkError, InvalidRequest
from bark_client.voice import VoiceLike

_TEXT: Final = "Hello."
_MAX_DURATION_S: Final = 0.5
_TIMEOUT_S: Final = 300.0  #: a large checkpoint on few cores takes minutes even for one word


@dataclass(frozen=True)
class Found:
    """What the servers are."""

    checkpoint: str
    sample_rate: int  #: Hz
    silent: dict[str, str]  #: servers that did not speak, and why
    voices: dict[str, dict[str, str]]  #: of each server that spoke: hashes of its voices by name

    def hashes(self, names: Collection[str]) -> dict[str, str]:
        """The hashes of these voices, without those that no server has.

        InvalidRequest if servers have different voices of one name.
        """
        first: dict[str, str] = {}
        for url, voices in self.voices.items():
            for name in sorted(voices.keys() & names):
                other = first.setdefault(name, url)
                if self.voices[other][name] != voices[name]:
                    raise InvalidRequest(
                        f"the servers {other} and {url} have different voices of the name {name}: import one of them "
                        "to both (`bark voice export`, `bark voice import --overwrite`)"
                    )
        return {name: self.voices[url][name] for name, url in first.items()}


def check_servers(urls: Sequence[str], *, voice: VoiceLike | None, options: dict[str, Any]) -> Found:
    """Let each server speak a word.

    InvalidRequest if an option or the voice is wrong, or if servers have different checkpoints. A job can begin without
    some of the servers; if none speaks, the error of the first one is raised.
    """
    spoken: dict[str, tuple[str, int]] = {}
    voices: dict[str, dict[str, str]] = {}
    failures: dict[str, BarkError] = {}
    for url in urls:
        try:
            spoken[url], voices[url] = _ask(url, voice=voice, options=options)
        except InvalidRequest:
            raise
        except BarkError as error:
            failures[url] = error
    if not spoken:
        raise next(iter(failures.values()))
    first, (checkpoint, rate) = next(iter(spoken.items()))
    for url, (other, _) in spoken.items():
        if other != checkpoint:
            raise InvalidRequest(
                f"the servers speak with different checkpoints: {first} with {checkpoint}, {url} with {other}; "
                "a job needs one"
            )
    return Found(checkpoint, rate, {url: str(error) for url, error in failures.items()}, voices)


def _ask(url: str, *, voice: VoiceLike | None, options: dict[str, Any]) -> tuple[tuple[str, int], dict[str, str]]:
    """A server's checkpoint and sample rate, once it has spoken, and the hashes of its voices by name."""
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
        return (stream.summary.checkpoint, rate), {one.name: one.hash for one in bark.voices()}
