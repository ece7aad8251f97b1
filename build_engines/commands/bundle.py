"""``bark-build import`` and ``bark-build tiny``: the commands that make bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from bark_serving.bundle import Bundle, BundleError
from bark_serving.cli.console import console, errors_shown
from build_engines.checkpoints.changes import change
from build_engines.checkpoints.request import Request
from build_engines.checkpoints.voices import LeftOut
from build_engines.commands import options
from build_engines.commands.progress import one_bar, share_bars
from build_engines.commands.requirements import TORCH, require
from build_engines.errors import SourceError

EXIT_VOICES_LEFT_OUT = 3  #: the bundle was made, without some of the voices


def print_bundle(bundle: Bundle) -> None:
    """Say what was made, and where."""
    name, folder = bundle.spec.name, bundle.folder
    console.print(f"[green]{name}[/green] in {folder}  (hash {bundle.hash[:12]})", soft_wrap=True)


def tiny(
    out: options.Out = Path("build/bundles/tiny"),
    seed: Annotated[int, typer.Option(help="Another seed, other weights; the same seed, the same bytes.")] = 0,
    name: Annotated[str | None, typer.Option(help="The bundle's name. Default: bark-tiny, bark-large-random …")] = None,
    size: Annotated[
        Literal["tiny", "small", "large"], typer.Option(help="tiny: seconds, 12 MB. small, large: Bark's true sizes.")
    ] = "tiny",
    tokenizer: Annotated[
        Path | None, typer.Option(help="vocab.txt or tokenizer.json to use instead of the small one.")
    ] = None,
    force: options.Force = False,
) -> None:
    """Make a bundle of **random weights**, for tests and for trying things out.

    It runs like Bark and speaks noise. With `--size small` or `large` the networks have Bark's true sizes, for
    measuring speed without a checkpoint.

    Example: `bark-build tiny build/bundles/tiny --seed 7`
    """
    with errors_shown():
        require(*TORCH)
        from build_engines.bundles.random_weights import make_random_bundle  # torch is slow to import

        with share_bars() as progress:
            on_step = one_bar(progress)
            bundle = make_random_bundle(
                out, size=size, seed=seed, name=name, tokenizer=tokenizer, force=force, on_step=on_step
            )
            on_step("done", 1.0)
    print_bundle(bundle)


def import_checkpoint(
    source: options.Source,
    out: options.Out,
    name: options.BundleName = None,
    hubert: options.HubertSource = None,
    hubert_head: options.HubertHead = None,
    hubert_layer: options.HubertLayer = None,
    encodec: options.EncodecSource = None,
    tokenizer: options.TokenizerSource = None,
    voices: options.Voices = None,
    no_voices: options.NoVoices = False,
    source_format: options.SourceFormat = None,
    small: options.Small = False,
    revision: options.Revision = None,
    force: options.Force = False,
    if_changed: options.IfChanged = False,
) -> None:
    """Import a checkpoint into a bundle: safetensors, tokenizer, voices and every number in one folder.

    Reads Suno's `.pt` files, the `transformers` format, Encodec's `.th`, HuBERT of fairseq or `transformers` and the
    published token heads. Pickles are read without running anything in them. The hub's address follows `HF_ENDPOINT`.

    Exit status: 0: imported. 1: not imported. 2: a wrong option. 3: imported, but voices that cannot be read or have
    a wrong name were left out; they are listed.

    Examples:

    `bark-build import suno/bark-small build/bundles/small`

    `bark-build import ~/.cache/suno/bark_v0 build/bundles/large --encodec encodec_24khz.th --tokenizer vocab.txt`
    """
    request = Request(
        source=source,
        name=name,
        format=source_format,
        small=small,
        hubert=hubert,
        hubert_head=hubert_head,
        hubert_layer=hubert_layer,
        encodec=encodec,
        tokenizer=tokenizer,
        voices=voices,
        no_voices=no_voices,
        revision=revision,
    )
    with errors_shown():
        if if_changed and out.exists():
            if _is_current(request, out):
                return
            force = True
        require(*TORCH)
        for place in request.places().values():
            _ = place.names  # what is not there is said before torch is imported
        bundle, left_out = _import(request, out, force=force)
    print_bundle(bundle)
    if bundle.spec.hubert is None:
        console.print(
            "[yellow]Voice cloning will not be available:[/yellow] it needs --hubert and --hubert-head.", soft_wrap=True
        )
    if left_out:
        imported = sum(1 for _ in bundle.voices.rglob("*.npz"))
        count = f"{len(left_out)} of {len(left_out) + imported} voices"
        console.print(f"[yellow]{count} {'was' if len(left_out) == 1 else 'were'} left out:[/yellow]", soft_wrap=True)
        for voice in left_out:
            console.print(escape(f"  {voice.name}: {voice.problem}"), soft_wrap=True)
        raise typer.Exit(EXIT_VOICES_LEFT_OUT)


def _is_current(request: Request, out: Path) -> bool:
    """Whether the bundle at `out` need not be imported again. Says why, or why not."""
    try:
        changed = change(request, Bundle(out))
    except BundleError as error:
        changed = error.problem
    except SourceError as error:
        console.print(escape(f"{out} is used as it was imported: {error.problem}"), soft_wrap=True)
        return True
    if changed is None:
        console.print(escape(f"{out} is up to date with {request.source}."), soft_wrap=True)
        return True
    console.print(escape(f"{out} is imported again: {changed}"), soft_wrap=True)
    return False


def _import(request: Request, out: Path, *, force: bool) -> tuple[Bundle, list[LeftOut]]:
    """Import, with a bar. Returns the bundle and the voices that were left out."""
    from build_engines.checkpoints.importer import FETCHING, import_bundle  # torch is slow to import

    progress = share_bars()
    move_bar = one_bar(progress)
    left_out: list[LeftOut] = []

    def on_step(step: str, share: float) -> None:
        move_bar(step, share)
        if step not in FETCHING:
            progress.start()  # only now: the hub's client draws its own bars

    try:
        bundle = import_bundle(request, out, force=force, on_step=on_step, on_left_out=left_out.append)
        move_bar("done", 1.0)
    finally:
        progress.stop()
    return bundle, left_out
