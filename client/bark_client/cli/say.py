"""`bark say`: speak a text."""

from __future__ import annotations

import codecs
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from rich.markup import escape

from bark_client.captions import save as save_captions
from bark_client.cli import options as opt
from bark_client.cli import picture, terminal
from bark_client.cli.console import messages, plain_errors
from bark_client.cli.outputs import check_captions, check_voice_file
from bark_client.cli.progress import open_progress
from bark_client.cli.sinks import Sink, open_sinks
from bark_client.client import BarkClient
from bark_client.connection import DEFAULT_URL
from bark_client.errors import InvalidRequest
from bark_client.long_text import MAX_REQUEST_CHARACTERS, is_long
from bark_client.pieces import Piece, until
from bark_client.protocol import OPTIONS, SpeakOptions
from bark_client.stream import SpeechStream

_TOO_LONG = (
    f"the text has over {MAX_REQUEST_CHARACTERS} characters, or comes with --live, so its audio is not kept; "
    "give a part of it"
)
_STDIN = Path("-")
_LIVE_BYTES = 4096  # at most, per read


def say(
    text: opt.Text = None,
    file: opt.File = None,
    output: opt.Output = None,
    stream: opt.Stream = False,
    live: opt.Live = False,
    play: opt.Play = False,
    raw: opt.Raw = False,
    captions: opt.Captions = None,
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
    latency: opt.Latency = None,
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
    one_speaker: opt.OneSpeaker = None,
    retries: opt.Retries = None,
    on_failure: opt.OnFailure = None,
    url: opt.Url = DEFAULT_URL,
    timeout: opt.Timeout = None,
    answer_timeout: opt.AnswerTimeout = 300.0,
) -> None:
    """Speak a text.

    `bark say "Hello there."` writes out.wav. Long texts come from a file or a pipe, and stream into a player:
    `bark say -f story.txt --stream -o - | ffplay -nodisp -autoexit -`

    Tags in the text make pauses and change the voice: `[voice:joe] Hello. [pause 0.5s] [voice:jo] Hi.`

    With subtitles: `bark say -f story.txt -o story.flac --captions story.srt`

    The words of a language model as they come: `llm "Tell me a story" | bark say --live --play`

    A text of over 20 000 characters takes several requests. Its audio is written while it is made, and without
    --voice one made-up speaker speaks all of it. For a book in chapters that can be resumed, see `bark book --help`.
    """
    options = cast(SpeakOptions, {name: value for name, value in locals().items() if name in OPTIONS})
    options["return_tokens"] = True if save_voice else None
    with plain_errors():
        words = _live_text(text, file) if live else _read_text(text, file)
        if is_long(words) and (draw or save_voice):
            raise InvalidRequest(f"{'--picture' if draw else '--save-voice'}: {_TOO_LONG}")
        if draw:
            picture.check(draw)
        if save_voice:
            check_voice_file(save_voice)
        if captions:
            check_captions(captions)
        target = output or (None if play else "out.wav")
        sinks = open_sinks(target, raw=raw, play=play)
        with BarkClient(url, timeout=timeout, answer_timeout=answer_timeout) as client:
            stream_ = client.stream(words, voice=voice, seed=seed, **options)
            _speak(stream_, words, sinks=sinks, live=stream or is_long(words), captions=captions)
        if target not in (None, "-"):
            hint = "" if output else " (name another with -o)"
            account = terminal.summary(stream_.summary)
            messages.print(f"[bold green]{escape(str(target))}[/]{hint}: {account}", highlight=False)
        _report(stream_, timings=timings, draw=draw, save_voice=save_voice)


def _report(spoken: SpeechStream, *, timings: bool, draw: Path | None, save_voice: Path | None) -> None:
    """Print the warnings and what else was asked for; draw the picture and save the voice."""
    for warning in spoken.summary.warnings:
        messages.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False)
    if timings:
        messages.print(terminal.timings_table(spoken.summary.timings))
    if draw:
        messages.print(f"[bold green]{escape(str(picture.draw(spoken.speech, draw)))}[/]: waveform and spectrogram")
    if save_voice:
        voice = spoken.speech.as_voice()
        messages.print(f"[bold green]{escape(str(voice.save(save_voice)))}[/]: {voice}", highlight=False)


def _speak(
    stream: SpeechStream, text: str | Iterator[str], *, sinks: list[Sink], live: bool, captions: Path | None
) -> None:
    """Speak, and write the audio to the sinks: chunk by chunk if `live`, else all at the end. Then the captions.

    After an error or Ctrl-C, the captions are those of the audio that was written (in the file, if there is one), and
    it is said where that is.
    """
    try:
        with contextlib.ExitStack() as closing:
            for sink in sinks:
                closing.callback(sink.close)
            with stream, open_progress(messages, text) as progress:
                for chunk in stream:
                    progress.advance(chunk, stream)
                    for sink in sinks if live else ():
                        sink.write(chunk.samples, sample_rate=chunk.sample_rate)
            for sink in () if live else sinks:
                sink.write(stream.speech.samples, sample_rate=stream.speech.sample_rate)
    except BaseException:
        for kept in filter(None, (sink.keeps for sink in sinks)):
            messages.print(escape(kept), highlight=False)
        _save_captions(until(stream.summary.pieces, sinks[0].seconds), captions)
        raise
    _save_captions(stream.summary.pieces, captions)


def _save_captions(pieces: Sequence[Piece], path: Path | None) -> None:
    if pieces and path is not None:
        messages.print(f"[bold green]{escape(str(save_captions(pieces, path)))}[/]: captions", highlight=False)


def _live_text(words: list[str] | None, file: Path | None) -> Iterator[str]:
    """Standard input, as it comes."""
    if file not in (None, _STDIN) or words not in (None, [], ["-"]) or sys.stdin is None or sys.stdin.isatty():
        raise InvalidRequest("--live is for a text that comes through a pipe: leave the text and --file out")
    # Unbuffered: the end of this process must not wait for a thread that reads.
    return _decoded_live(getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))


def _decoded_live(source: BinaryIO) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        while data := source.read(_LIVE_BYTES):
            yield decoder.decode(data)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise InvalidRequest("standard input: not a UTF-8 text") from None


def _read_text(words: list[str] | None, file: Path | None) -> str:
    """The text, from the command line, a file or standard input."""
    if file is not None:
        if words:
            raise InvalidRequest("give the text or --file, not both")
        if file == _STDIN:
            return _read_text(["-"], None)
        if not file.exists():
            raise InvalidRequest(f"--file {file}: there is no such file")
        return decoded(file.read_bytes(), source=str(file))
    if words and words != ["-"]:
        return " ".join(words)
    if not words and (sys.stdin is None or sys.stdin.isatty()):
        raise InvalidRequest('nothing to say: give a text (bark say "Hello."), --file, or pipe one in')
    return decoded(sys.stdin.buffer.read(), source="standard input")


def decoded(data: bytes, *, source: str) -> str:
    """A text of UTF-8, with or without a mark at its beginning. InvalidRequest names `source`."""
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{source}: not a UTF-8 text") from None
