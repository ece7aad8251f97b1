"""``bark-build``: checkpoints to bundles, bundles to engines."""

from __future__ import annotations

from typing import Annotated

import typer

from bark_serving.cli.console import EXIT_WRONG_OPTION, Commands, print_error
from build_engines import __version__
from build_engines.commands import bundle, engines, miniature
from build_engines.commands.trtllm_checkpoint import trtllm_checkpoint

app = typer.Typer(
    name="bark-build",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("import")(bundle.import_checkpoint)
app.command("tiny")(bundle.tiny)
app.command("miniature")(miniature.miniature)
app.command("engines")(engines.engines)
app.command("trtllm-checkpoint")(trtllm_checkpoint)
app.command("list")(engines.list_engines)
app.command("verify")(engines.verify)
app.command("prune")(engines.prune)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bark-build {__version__}")
        raise typer.Exit()


@app.callback()
def bark_build(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn a Bark checkpoint into a bundle, and a bundle into engines for the machine that serves it.

    `bark-build import suno/bark-small build/bundles/bark-small`, then
    `bark-build engines --bundle build/bundles/bark-small`. Without `--bundle`, `engines` builds those of the
    miniature that comes with this package.
    """


def _replaced(name: str, replacement: str) -> None:
    """Answer an old command with the one that replaces it."""

    @app.command(name, hidden=True, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
    def answer() -> None:
        print_error(f"`bark-build {name}` is now `bark-build {replacement}`.")
        raise typer.Exit(EXIT_WRONG_OPTION)


_replaced("onnx", "engines --profile cpu")
_replaced("tensorrt", "engines --profile tensorrt")
_replaced("trtllm", "engines --profile trtllm --stage semantic --stage coarse")
