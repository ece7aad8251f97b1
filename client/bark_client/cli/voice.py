"""`bark voice`: clone, keep and share voices from the command line."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bark_client.cli import options as opt
from bark_client.cli import picture, terminal, voice_files
from bark_client.cli.console import Lines, fail, messages, plain_errors
from bark_client.cli.outputs import check_voice_file, file_of
from bark_client.cli.sinks import open_sinks
from bark_client.cli.voice_files import VoiceFile
from bark_client.client import BarkClient
from bark_client.connection import DEFAULT_URL
from bark_client.errors import InvalidRequest, MissingExtra
from bark_client.sound_file import KINDS

app = typer.Typer(
    help="Clone, keep and share voices.\n\nFor example: `bark voice clone me.wav --name me`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.command("list")
def list_(
    language: Annotated[
        str | None, typer.Option("--language", "-l", help="Only voices of this language, like `en`.")
    ] = None,
    names: Annotated[bool, typer.Option("--names", help="Only the names, one per line.")] = False,
    url: opt.Url = DEFAULT_URL,
) -> None:
    """List the voices of the server.

    For example those that speak German: `bark voice list -l de`
    """
    with plain_errors(), BarkClient(url) as client:
        found = client.voices(language=language)
        if names:
            for voice in found:
                typer.echo(voice.name)
        elif found:
            Lines().print(terminal.voices_table(found))
        else:
            messages.print(f"no voices{f' of language {language!r}' * bool(language)} on {url}", highlight=False)


@app.command()
def show(
    voice: opt.AnyVoice,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Picture to draw: .png, .svg or .pdf. If not given: NAME-voice.png."),
    ] = None,
    url: opt.Url = DEFAULT_URL,
) -> None:
    """Show what a voice consists of, and draw its spectrogram.

    For example: `bark voice show joe`
    """
    with plain_errors(), BarkClient(url) as client, file_of(voice, "-voice.png", asked=output) as path:
        target = _picture(path, asked=output is not None)
        info = None if voice.lower().endswith(".npz") else client.voice_info(voice)
        preview = client.preview_voice(voice)
        Lines().print(terminal.voice_table(preview, info))
        if target:
            _done(picture.draw(preview, target), "waveform and spectrogram")


@app.command()
def preview(
    voice: opt.AnyVoice,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write: .wav, .flac, .ogg or .mp3; `-` is standard output (WAV). "
            "Default: NAME-preview.wav, or none with --play.",
        ),
    ] = None,
    play: opt.Play = False,
    url: opt.Url = DEFAULT_URL,
) -> None:
    """Decode a voice's own tokens: the last half minute of the audio it was made from.

    For example: `bark voice preview me --play`
    """
    file = contextlib.nullcontext() if play and not output else file_of(voice, "-preview.wav", asked=output)
    with plain_errors(), BarkClient(url) as client, file as path:
        target = None if path is None else str(path)
        with contextlib.ExitStack() as closing:
            sinks = open_sinks(target, play=play)
            for sink in sinks:
                closing.callback(sink.close)
            heard = client.preview_voice(voice)
            for sink in sinks:
                sink.write(heard.samples, sample_rate=heard.sample_rate)
        if target not in (None, "-"):
            _done(target, heard.caption)


@app.command()
def clone(
    clip: Annotated[
        str,
        typer.Argument(help=f"1 to 30 s of one person speaking: {KINDS}. `-` is standard input."),
    ],
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Keep it on the server under this name.", show_default=False)
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this .npz file.")] = None,
    start: Annotated[float, typer.Option("--start", help="Seconds into the clip at which to begin.")] = 0.0,
    duration: Annotated[
        float | None, typer.Option("--duration", help="Seconds of the clip to use. If not given: all the rest.")
    ] = None,
    overwrite: opt.Overwrite = False,
    url: opt.Url = DEFAULT_URL,
) -> None:
    """Make a voice that sounds like a clip.

    Clone only voices whose owners agreed to it.

    `bark voice clone me.wav --name me` keeps it on the server, to be spoken with: `bark say "Hello." --voice me`.
    A part of a longer recording: `bark voice clone talk.mp3 --start 65 --duration 12 --name speaker`
    """
    with plain_errors(), BarkClient(url) as client:
        if name is None and output is None:
            raise InvalidRequest(
                "where to keep the voice? give --name to keep it on the server, or -o me.npz for a file"
            )
        if output is not None:
            check_voice_file(output)
        source = io.BytesIO(sys.stdin.buffer.read()) if clip == "-" else clip
        with messages.status("cloning …"):
            voice = client.clone_voice(source, name=name, overwrite=overwrite, start=start, duration=duration)
        for warning in voice.warnings:
            messages.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False)
        if name is not None:
            _done(name, f'{voice}; hear it with `bark say "Hello." --voice {name}`')
        if output is not None:
            _done(voice.save(output), str(voice))


@app.command()
def rename(
    name: opt.StoredVoice,
    new_name: Annotated[str, typer.Argument(help="Its new name, which no other voice may have.")],
    url: opt.Url = DEFAULT_URL,
) -> None:
    """Give a voice another name.

    For example: `bark voice rename me me-in-the-morning`
    """
    with plain_errors({", or allow overwriting": ""}), BarkClient(url) as client:
        _done(client.rename_voice(name, new_name).name, f"was {name}")


@app.command()
def delete(
    names: opt.StoredVoices,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    url: opt.Url = DEFAULT_URL,
) -> None:
    """Delete voices from the server, after asking.

    For example: `bark voice delete me`
    """
    with plain_errors(), BarkClient(url) as client:
        for name in names:
            if not (yes or _confirmed(f"delete the voice {name} from {url}?")):
                messages.print(f"{name} stays", highlight=False)
                continue
            client.delete_voice(name)
            _done(name, "deleted")


@app.command()
def export(
    name: opt.AnyVoice,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write (.npz). If not given: NAME.npz.")
    ] = None,
    url: opt.Url = DEFAULT_URL,
) -> None:
    """Write a voice to a file, which every implementation of Bark can read.

    For example: `bark voice export me -o me.npz`
    """
    with plain_errors(), BarkClient(url) as client, file_of(name, ".npz", asked=output) as target:
        check_voice_file(target)
        voice = client.get_voice(name)
        _done(voice.save(target), str(voice))


@app.command("import")
def import_(
    path: Annotated[
        Path, typer.Argument(help="An .npz file, or a folder of voices, such as `speaker_embeddings` of a checkpoint.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="For one file: the name of the voice. If not given: the file's.")
    ] = None,
    overwrite: opt.Overwrite = False,
    url: opt.Url = DEFAULT_URL,
) -> None:
    """Copy voices from files to the server.

    For example one, `bark voice import me.npz`, or all of a checkpoint: `bark voice import path/to/bark-small`

    The path inside a folder is the name: v2/en_speaker_6.npz becomes v2/en_speaker_6. Voices of a folder that the
    server has already are skipped. A single file is refused if its name is taken.
    """
    with plain_errors(), BarkClient(url) as client:
        files = voice_files.find(path)
        if path.is_dir() and name is not None:
            raise InvalidRequest("--name is for one file; a folder's layout gives the names: leave --name out")
        if not path.is_dir():
            one = VoiceFile(name or files[0].name, files[0].path)
            # A voice that was asked for by itself is never skipped: the server keeps it, has it, or says why not.
            client.save_voice(one.name, one.load(), overwrite=overwrite)
            messages.print(f"[bold green]1 voice imported[/] as {escape(one.name)}", highlight=False)
            return
        stored = {voice.name: voice.stored for voice in client.voices()}
        built_in = [file for file in files if not stored.get(file.name, True)]
        existing = [file for file in files if stored.get(file.name) and not overwrite]
        new = [file for file in files if file not in built_in and file not in existing]
        refused = _import(client, new, overwrite=overwrite)
        account = f"[bold green]{len(new) - refused} voice{'s' * (len(new) - refused != 1)} imported[/]"
        if existing:
            account += f", {len(existing)} there already (--overwrite replaces them)"
        if built_in:
            account += f", {len(built_in)} built in"
        messages.print(account, highlight=False)
        if refused:
            fail(f"{refused} of {len(files)} left out", code=1)


def _import(client: BarkClient, files: list[VoiceFile], *, overwrite: bool) -> int:
    """Send voices to the server; return how many it, or this client, refused."""
    refused = 0
    with terminal.steps_progress(messages) as bar:
        for file in bar.track(files, description="importing"):
            try:
                client.save_voice(file.name, file.load(), overwrite=overwrite)
            except InvalidRequest as error:  # carry on: the others may be good
                messages.print(f"[yellow]left out:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
                refused += 1
    return refused


def _picture(target: Path, *, asked: bool) -> Path | None:
    """Where to draw. None if it can't be drawn and the user did not ask for it."""
    try:
        picture.check(target)
    except (MissingExtra, InvalidRequest) as error:
        if asked:
            raise
        messages.print(f"[yellow]no picture:[/] {escape(str(error))}", highlight=False)
        return None
    return target


def _confirmed(question: str) -> bool:
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:  # there is no terminal to answer on
        raise InvalidRequest("no answer: add --yes to delete without being asked") from None


def _done(what: object, account: str) -> None:
    messages.print(f"[bold green]{escape(str(what))}[/]: {escape(account)}", highlight=False, soft_wrap=True)
