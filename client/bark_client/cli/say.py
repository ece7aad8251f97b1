"""`bark say`: speak a text."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import cast

from rich.markup import escape

from bark_client.cli import options as opt
from bark_client.cli import picture, terminal
from bark_client.cli.console import messages, plain_errors
from bark_client.cli.outputs import check_voice_file
from bark_client.cli.sinks import Sink, open_sinks
from bark_client.client import BarkClient
from bark_client.connection import DEFAULT_URL
from bark_client.errors import InvalidRequest
from bark_client.protocol import OPTIONS, SpeakOptions
from bark_client.speech import Speech


def say(
    text: opt.Text = None,
    file: opt.File = None,
    output: opt.Output = None,
    stream: opt.Stream = False,
    play: opt.Play = False,
    raw: opt.Raw = False,
    timings: opt.Timings = False,
    draw: opt.Picture = None,
    save_voice: opt.SaveVoice = None,
    voice: opt.Voice = None,
    seed: opt.Seed = None,
    language: opt.Language = None,
    markdown: opt.Markdown = None,
    fold_signs: opt.FoldSigns = None,
    spell_numbers: opt.SpellNumbers = None,
    speed: opt.Speed = None,
    semantic_temperature: opt.SemanticTemperature = None,
    coarse_temperature: opt.CoarseTemperature = None,
    fine_temperature: opt.FineTemperature = None,
    top_k: opt.TopK = None,
    top_p: opt.TopP = None,
    min_eos_p: opt.MinEosP = None,
    coarse_history: opt.CoarseHistory = None,
    coarse_window: opt.CoarseWindow = None,
    fine_padding: opt.FinePadding = None,
    max_duration: opt.MaxDuration = None,
    piece_duration: opt.PieceDuration = None,
    sentence_pause: opt.SentencePause = None,
    paragraph_pause: opt.ParagraphPause = None,
    split_sentences: opt.SplitSentences = None,
    chain_sentences: opt.ChainSentences = None,
    url: opt.Url = DEFAULT_URL,
    timeout: opt.Timeout = None,
    answer_timeout: opt.AnswerTimeout = 300.0,
) -> None:
    """Speak a text.

    `bark say "Hello there."` writes out.wav. Long texts come from a file or a pipe, and stream into a player:
    `bark say -f story.txt --stream -o - | ffplay -nodisp -autoexit -`

    Tags in the text make pauses and change the voice: `[voice:joe] Hello. [pause 0.5s] [voice:jo] Hi.`
    """
    options = cast(SpeakOptions, {name: value for name, value in locals().items() if name in OPTIONS})
    options["return_tokens"] = True if save_voice else None
    with plain_errors():
        words = _read_text(text, file)
        if draw:
            picture.check(draw)
        if save_voice:
            check_voice_file(save_voice)
        target = output or (None if play else "out.wav")
        sinks = open_sinks(target, raw=raw, play=play)
        with BarkClient(url, timeout=timeout, answer_timeout=answer_timeout) as client:
            speech = _speak(client, words, voice=voice, seed=seed, options=options, sinks=sinks, live=stream)
        if target not in (None, "-"):
            hint = "" if output else " (name another with -o)"
            messages.print(f"[bold green]{escape(str(target))}[/]{hint}: {terminal.summary(speech)}", highlight=False)
        _report(speech, timings=timings, draw=draw, save_voice=save_voice)


def _report(speech: Speech, *, timings: bool, draw: Path | None, save_voice: Path | None) -> None:
    """Print the warnings and what else was asked for; draw the picture and save the voice."""
    for warning in speech.warnings:
        messages.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False)
    if timings:
        messages.print(terminal.timings_table(speech.timings))
    if draw:
        messages.print(f"[bold green]{escape(str(picture.draw(speech, draw)))}[/]: waveform and spectrogram")
    if save_voice:
        voice = speech.as_voice()
        messages.print(f"[bold green]{escape(str(voice.save(save_voice)))}[/]: {voice}", highlight=False)


def _speak(
    client: BarkClient,
    text: str,
    *,
    voice: str | None,
    seed: int | None,
    options: SpeakOptions,
    sinks: list[Sink],
    live: bool,
) -> Speech:
    """Speak, and write the audio to the sinks: chunk by chunk if `live`, else all at the end."""
    with contextlib.ExitStack() as closing:
        for sink in sinks:
            closing.callback(sink.close)
        with (
            client.stream(text, voice=voice, seed=seed, **options) as stream,
            terminal.SpeakingProgress(messages) as bar,
        ):
            for chunk in stream:
                bar.advance(chunk)
                for sink in sinks if live else ():
                    sink.write(chunk.samples, sample_rate=chunk.sample_rate)
            speech = stream.speech
        for sink in () if live else sinks:
            sink.write(speech.samples, sample_rate=speech.sample_rate)
    return speech


def _read_text(words: list[str] | None, file: Path | None) -> str:
    """The text, from the command line, a file or standard input."""
    if file is not None:
        if words:
            raise InvalidRequest("give the text or --file, not both")
        return _decoded(file.read_bytes(), source=str(file))
    if words and words != ["-"]:
        return " ".join(words)
    if not words and (sys.stdin is None or sys.stdin.isatty()):
        raise InvalidRequest('nothing to say: give a text (bark say "Hello."), --file, or pipe one in')
    return _decoded(sys.stdin.buffer.read(), source="standard input")


def _decoded(data: bytes, *, source: str) -> str:
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{source}: not a UTF-8 text") from None
