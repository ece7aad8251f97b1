"""The options of the commands, one type per option: names, help and completion."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from bark_client.client import BarkClient
from bark_client.connection import DEFAULT_URL
from bark_client.errors import BarkError
from bark_client.protocol import OPTIONS
from bark_client.voice import VoiceInfo


def complete_voice(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the server's voices, for the shell's completion; none if the server is slow."""
    return [voice.name for voice in _voices(ctx) if voice.name.startswith(incomplete)]


def complete_stored_voice(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the voices that can be renamed and deleted."""
    return [voice.name for voice in _voices(ctx) if voice.stored and voice.name.startswith(incomplete)]


def _voices(ctx: typer.Context) -> list[VoiceInfo]:
    url = ctx.params.get("url") or os.environ.get("BARK_URL") or DEFAULT_URL
    try:
        with BarkClient(url, timeout=1.0, connect_timeout=0.3) as client:
            return client.voices()
    except BarkError:
        return []  # a completion can't show an error


def _speaking(*names: str, text: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="How to speak", **more)


def _sampling(*names: str, text: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="Sampling")


def _measuring(*names: str, text: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="For measurements")


def _output(*names: str, text: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="Output")


def _server(*names: str, text: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="Server", **more)


def options_of(described: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator for a command: `**options` becomes the options of a request that another command has."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters.values()
        theirs = inspect.signature(described, eval_str=True).parameters.values()
        taken = [one for one in own if one.kind != one.VAR_KEYWORD] + [one for one in theirs if one.name in OPTIONS]

        @functools.wraps(command)
        def run(**arguments: Any) -> None:
            command(**arguments)

        parameters = [one.replace(kind=one.KEYWORD_ONLY) for one in taken]
        vars(run)["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return run

    return add


Text: TypeAlias = Annotated[
    list[str] | None, typer.Argument(help="What to say. `-` reads standard input; so does a pipe without TEXT.")
]
File: TypeAlias = Annotated[
    Path | None, typer.Option("--file", "-f", help="Read the text from a file; `-` is standard input.", dir_okay=False)
]

Output: TypeAlias = Annotated[
    str | None,
    _output(
        "--output",
        "-o",
        text="File to write: .wav, .flac, .ogg or .mp3; `-` is standard output (WAV). "
        "Default: out.wav, or none with --play.",
    ),
]
Stream: TypeAlias = Annotated[bool, _output("--stream", text="Write and play audio while it is made, not at the end.")]
Live: TypeAlias = Annotated[
    bool, _output("--live", text="Speak a pipe while its text still comes, as from a language model.")
]
Play: TypeAlias = Annotated[bool, _output("--play", text="Play it (needs the `play` extra).")]
Raw: TypeAlias = Annotated[bool, _output("--raw", text="With `-o -`: 16-bit samples without a header.")]
Timings: TypeAlias = Annotated[bool, _output("--timings", text="Print how long each stage took.")]
Picture: TypeAlias = Annotated[
    Path | None,
    _output("--picture", text="Draw waveform and spectrogram: .png, .svg or .pdf (needs the `picture` extra)."),
]
Captions: TypeAlias = Annotated[
    Path | None,
    _output("--captions", text="Write the text with its times: .srt, .vtt or .json."),
]
SaveVoice: TypeAlias = Annotated[
    Path | None, _output("--save-voice", text="Save this speech as a voice (.npz), to speak with again.")
]

_VOICE = (
    "Name of a voice (see `bark voice list`), or an .npz file. The miniature has joe and jo, "
    "Bark has v2/en_speaker_0 to v2/en_speaker_9."
)
Voice: TypeAlias = Annotated[
    str | None,
    _speaking("--voice", "-v", text=_VOICE, autocompletion=complete_voice),
]
AnyVoice: TypeAlias = Annotated[str, typer.Argument(help=_VOICE, autocompletion=complete_voice)]
StoredVoice: TypeAlias = Annotated[
    str, typer.Argument(help="Name of a voice in the server's store.", autocompletion=complete_stored_voice)
]
StoredVoices: TypeAlias = Annotated[
    list[str], typer.Argument(help="Names of voices in the server's store.", autocompletion=complete_stored_voice)
]
Overwrite: TypeAlias = Annotated[bool, typer.Option("--overwrite", help="Replace a voice that has this name already.")]
Seed: TypeAlias = Annotated[
    int | None,
    _speaking(
        "--seed",
        text="The same seed and options give the same speech. If not given: chosen by the server, and printed.",
    ),
]
Language: TypeAlias = Annotated[
    str | None,
    _speaking(
        "--language",
        "-l",
        text="Language of the text, like `en-US`; its rules find sentences. If not given: guessed.",
    ),
]
Markdown: TypeAlias = Annotated[
    bool | None,
    _speaking("--markdown/--no-markdown", text="Read the text that Markdown stands for, or all its signs as they are."),
]
FoldSigns: TypeAlias = Annotated[
    bool | None,
    _speaking(
        "--fold-signs/--no-fold-signs",
        text="Replace or leave out signs that the checkpoint lacks (it says so), or keep them.",
    ),
]
SpellNumbers: TypeAlias = Annotated[
    bool | None,
    _speaking(
        "--spell-numbers/--no-spell-numbers",
        text="Write numbers as words, or not. If not given: the checkpoint's.",
    ),
]
Speed: TypeAlias = Annotated[
    Literal["exact", "fast"] | None,
    _speaking("--speed", text="`exact` computes what Suno's code computes; `fast` is quicker, a little different."),
]
Latency: TypeAlias = Annotated[
    Literal["normal", "low"] | None,
    _speaking("--latency", text="`low` sends a piece's audio while it is still being made; for --stream and --play."),
]
SemanticTemperature: TypeAlias = Annotated[
    float | None, _sampling("--semantic-temperature", text="What is said and how: 0 is greedy, higher is livelier.")
]
CoarseTemperature: TypeAlias = Annotated[
    float | None, _sampling("--coarse-temperature", text="How it sounds: 0 is greedy, higher is livelier.")
]
FineTemperature: TypeAlias = Annotated[
    float | None, _sampling("--fine-temperature", text="The sound's detail: 0 is greedy, higher is livelier.")
]
TopK: TypeAlias = Annotated[int | None, _sampling("--top-k", text="Sample from the k most probable tokens only.")]
TopP: TypeAlias = Annotated[
    float | None,
    _sampling("--top-p", text="Sample from the most probable tokens only, whose probabilities add up to p."),
]
MinEosP: TypeAlias = Annotated[
    float | None, _sampling("--min-eos-p", text="End a piece when its end is this probable (above 0, at most 1).")
]
CoarseHistory: TypeAlias = Annotated[
    int | None, _measuring("--coarse-history", text="Coarse tokens that each window continues from.")
]
CoarseWindow: TypeAlias = Annotated[
    int | None, _measuring("--coarse-window", text="Coarse tokens that each window generates.")
]
FinePadding: TypeAlias = Annotated[
    bool | None,
    _measuring(
        "--fine-padding/--no-fine-padding",
        text="Pad short pieces to a whole window of the fine stage, as Suno's code does, or don't: that is faster.",
    ),
]
MaxDuration: TypeAlias = Annotated[
    float | None, _speaking("--max-duration", text="At most so many seconds of audio per piece.")
]
PieceDuration: TypeAlias = Annotated[
    float | None,
    _speaking("--piece-duration", text="Seconds that the pieces of a long sentence should have; 7 for Bark."),
]
SentencePause: TypeAlias = Annotated[
    float | None, _speaking("--sentence-pause", text="Seconds of silence between sentences (default 0, at most 10).")
]
ParagraphPause: TypeAlias = Annotated[
    float | None,
    _speaking("--paragraph-pause", text="Seconds of silence before a paragraph (default 0.3, at most 10)."),
]
SplitSentences: TypeAlias = Annotated[
    bool | None,
    _speaking("--split-sentences/--one-piece", text="Speak sentence by sentence, or the text in one piece."),
]
ChainSentences: TypeAlias = Annotated[
    bool | None,
    _speaking(
        "--chain-sentences/--same-voice",
        text="Continue each piece from the one before it, or start each from the voice.",
    ),
]
OneSpeaker: TypeAlias = Annotated[
    bool | None,
    _speaking(
        "--one-speaker/--any-speaker",
        text="Without a voice: all pieces with the speaker of the first one, or each with one of its own.",
    ),
]
Retries: TypeAlias = Annotated[
    int | None,
    _speaking("--retries", text="How often a piece that failed is spoken again: 0 to 2. If not given: 2."),
]
OnFailure: TypeAlias = Annotated[
    Literal["warn", "error", "skip"] | None,
    _speaking(
        "--on-failure",
        text="A piece that failed every time: keep its best take (`warn`), end with an `error`, or `skip` it.",
    ),
]

Url: TypeAlias = Annotated[
    str, _server("--url", text="The server's gRPC endpoint.", envvar="BARK_URL", metavar="HOST:PORT")
]
Timeout: TypeAlias = Annotated[float | None, _server("--timeout", text="Seconds that the request may take in all.")]
AnswerTimeout: TypeAlias = Annotated[
    float, _server("--answer-timeout", text="Seconds that the next answer may take before the request fails.")
]
