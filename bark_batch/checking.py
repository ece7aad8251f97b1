"""Before a job begins: do all servers speak, with these options, and alike?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bark_client import BarkClient, BarkError, InvalidRequest
from bark_client.named_voices import voices_named
from bark_client.voice import VoiceInfo, VoiceLike

_TEXT: Final = "Hello."
_MAX_DURATION_S: Final = 0.5
_TIMEOUT_S: Final = 300.0  #: a large checkpoint on few cores takes minutes even for one word


@dataclass(frozen=True)
class Found:
    """What the servers are."""

    checkpoint: str
    sample_rate: int  #: Hz
    silent: dict[str, str]  #: servers that did not speak, and why
    spoke: list[str]  #: the other servers

    def hashes(self, names: Collection[str]) -> dict[str, str]:
        """Ask the servers that spoke for the hashes of these voices. Voices that no server has are left out.

        InvalidRequest if servers have different voices of one name. ServerError if a server cannot list its voices.
        """
        first: dict[str, tuple[str, VoiceInfo]] = {}
        for url in self.spoke:
            with BarkClient(url, timeout=_TIMEOUT_S) as bark:
                voices = voices_named(bark, names, url=url)
            for name, voice in sorted(voices.items()):
                other, known = first.setdefault(name, (url, voice))
                if known.hash != voice.hash:
                    raise InvalidRequest(
                        f"the servers {other} and {url} have different voices of the name {name}: "
                        + _remedy((other, known), (url, voice))
                    )
        return {name: voice.hash for name, (_, voice) in first.items()}


def check_servers(urls: Sequence[str], *, voice: VoiceLike | None, options: dict[str, Any]) -> Found:
    """Let each server speak a word.

    InvalidRequest if an option or the voice is wrong, or if servers have different checkpoints. A job can begin without
    some of the servers; if none speaks, the error of the first one is raised.
    """
    spoken: dict[str, tuple[str, int]] = {}
    failures: dict[str, BarkError] = {}
    for url in urls:
        try:
            spoken[url] = _ask(url, voice=voice, options=options)
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
    return Found(checkpoint, rate, {url: str(error) for url, error in failures.items()}, list(spoken))


def _ask(url: str, *, voice: VoiceLike | None, options: dict[str, Any]) -> tuple[str, int]:
    """A server's checkpoint and sample rate, once it has spoken."""
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


def _remedy(one: tuple[str, VoiceInfo], other: tuple[str, VoiceInfo]) -> str:
    """How two servers get the same voice of a name. A voice that is built in cannot be replaced."""
    (source, voice), (target, replaced) = (one, other) if other[1].stored else (other, one)
    if not replaced.stored:
        return "start both servers with the same bundle and --voices"
    return (
        f"copy that of {source} with `bark voice export {voice.name} -o voice.npz --url {source}`, then "
        f"`bark voice import voice.npz --name {voice.name} --overwrite --url {target}`"
    )
