"""`bark book`: speak a book, chapter by chapter, so that it can be resumed."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer
from rich.markup import escape

from bark_client.book import Book
from bark_client.chapters import Chapter, split_chapters
from bark_client.cli import options as opt
from bark_client.cli.console import messages, plain_errors
from bark_client.cli.progress import LongProgress, duration
from bark_client.cli.say import decoded, say
from bark_client.client import BarkClient
from bark_client.connection import DEFAULT_URL
from bark_client.errors import BarkError, InvalidRequest, ServerUnavailable
from bark_client.long_stream import LongStream
from bark_client.named_voices import voices_named
from bark_client.protocol import SpeakOptions
from bark_client.script import Finished, Script
from bark_client.tags import voices_in
from bark_client.voice import voice_identity

_Texts = Annotated[
    list[Path],
    typer.Argument(
        help="Texts, UTF-8. Each is a chapter; one alone is split at its headings.", exists=True, dir_okay=False
    ),
]
_Folder = Annotated[Path, typer.Option("--output", "-o", help="A new folder for the book.", file_okay=False)]
_Format = Annotated[Literal["flac", "wav"], typer.Option("--format", help="Of the audio files.")]
_Chapters = Annotated[bool, typer.Option("--chapters/--one-chapter", help="Split one text at its headings, or don't.")]
_Resume = Annotated[bool, typer.Option("--resume", help="Go on with a book that was interrupted.")]


@opt.options_of(say)
def book(
    texts: _Texts,
    output: _Folder,
    format_: _Format = "flac",
    chapters: _Chapters = True,
    resume: _Resume = False,
    voice: opt.Voice = None,
    seed: opt.Seed = None,
    url: opt.Url = DEFAULT_URL,
    timeout: opt.Timeout = None,
    answer_timeout: opt.AnswerTimeout = 300.0,
    **options: Any,
) -> None:
    """Speak a book: one audio file per chapter, with captions beside it.

    `bark book novel.txt -o novel` splits the text at headings, such as "Chapter 3" or Markdown's `# The Ball`, and
    writes novel/01-chapter-1.flac, .srt and .vtt, and so on. Each of several texts is a chapter:
    `bark book one.txt two.txt --voice joe -o novel`

    After an interruption, even by kill -9, the same command with --resume goes on. The result is the same as
    without the interruption: `bark book novel.txt -o novel --resume`
    """
    with plain_errors():
        speaking = cast(SpeakOptions, options)
        found = _chapters(texts, split=chapters, markdown=speaking.get("markdown") is not False)
        settings = {"format": format_, "voice": voice_identity(voice)}
        settings |= {name: value for name, value in options.items() if value is not None}
        Script(voice=voice, seed=seed, options=speaking)  # a wrong option is an error before there is a folder
        if resume:
            job = Book.resume(output, found, seed=seed, settings=settings)
        else:
            chosen = secrets.randbits(32) if seed is None else seed
            job = Book.begin(output, found, seed=chosen, settings=settings)
        with job, _resumable(job), BarkClient(url, timeout=timeout, answer_timeout=answer_timeout) as client:
            check = _check_of(job, client, _named(settings["voice"], found), url=url)
            if not job.complete:
                check(spoken=False)
            script = Script(voice=voice, seed=job.state.seed, options=speaking, first=job.first, speaker=job.speaker)
            with client.speak_passages(job.remaining(), script=script) as stream:
                _speak(stream, job, check=lambda: check(spoken=True))
        count = len(job.state.chapters)
        messages.print(
            f"[bold green]{escape(str(output))}[/]: {count} chapter{'s' * (count > 1)}, "
            f"{duration(job.seconds)} of audio, seed {job.state.seed}",
            highlight=False,
        )


def _named(voice: str | None, chapters: list[Chapter]) -> set[str]:
    """The voices that --voice and tags name."""
    return {voice or ""}.union(*(voices_in(chapter.text) for chapter in chapters)) - {""}


def _check_of(job: Book, client: BarkClient, names: set[str], *, url: str) -> Callable[..., None]:
    """A check that raises InvalidRequest if the server's voices are no longer those of the book.

    If the server cannot list them, the check warns once, and the book goes on. So no audio is lost. After a failure of
    the first check the voices are not compared again, because each attempt can take seconds.
    """
    warned, compared = False, set(names)

    def check(*, spoken: bool) -> None:
        nonlocal warned
        try:
            found = voices_named(client, compared, url=url)
        except BarkError as error:
            if not spoken and isinstance(error, ServerUnavailable):  # it does not speak, either
                raise
            if not warned:
                text = f"the voices could not be compared with those of the book: {error}"
                messages.print(f"[yellow]warning:[/] {escape(text)}", highlight=False, soft_wrap=True)
            warned = True
            if not spoken:
                compared.clear()
            return
        job.check_voices(found, url=url)

    return check


def _speak(stream: LongStream, job: Book, *, check: Callable[[], None]) -> None:
    """Write what is spoken. check: raises an error if the voices are no longer those of the book."""
    progress = LongProgress(messages, characters=job.characters, done=job.spoken_characters, audio_seconds=job.seconds)
    chapters = job.state.chapters
    with progress:
        for event in stream.events():
            if isinstance(event, Finished):
                check()  # before the audio counts as done
                name = job.chapter.name
                for warning in event.summary.warnings:
                    messages.print(f"[yellow]warning:[/] {escape(f'{name}: {warning}')}", highlight=False)
                if (path := job.finish(event)) is not None:
                    messages.print(f"[bold green]{escape(str(path))}[/]", highlight=False)
                continue
            job.write(event)
            label = f"chapter {chapters.index(job.chapter) + 1} of {len(chapters)}"
            progress.show(spoken=stream.spoken_characters, audio_seconds=event.seconds, label=label)


@contextlib.contextmanager
def _resumable(job: Book) -> Iterator[None]:
    """Say how to go on after an error or Ctrl-C. Leave nothing where nothing is done yet."""
    try:
        yield
    except (KeyboardInterrupt, BarkError, OSError):
        if not job.first:
            job.discard()
            raise
        command = shlex.join(["bark", *(word for word in sys.argv[1:] if word != "--resume"), "--resume"])
        percent = 100 * job.spoken_characters / max(1, job.characters)
        messages.print(f"{percent:.0f} % of the book is done. Go on with: {escape(command)}", highlight=False)
        raise


def _chapters(texts: list[Path], *, split: bool, markdown: bool) -> list[Chapter]:
    read = [Chapter(path.stem, decoded(path.read_bytes(), source=str(path))) for path in texts]
    if split and len(read) == 1:
        return split_chapters(read[0].text, title=read[0].title, markdown=markdown)
    for path, chapter in zip(texts, read, strict=True):
        if not any(map(str.isalnum, chapter.text)):
            raise InvalidRequest(f"{path}: it has no word to speak; leave it out")
    return read
