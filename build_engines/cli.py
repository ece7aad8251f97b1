"""``bark-build``: checkpoints to bundles, bundles to engines."""

from __future__ import annotations

import typer

from build_engines.commands import all as everything
from build_engines.commands import bundle, engines, miniature, tensorrt, trtllm

app = typer.Typer(
    name="bark-build",
    help="Turn a Bark checkpoint into a bundle, and a bundle into engines for the machine that serves it.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("import")(bundle.import_checkpoint)
app.command("tiny")(bundle.tiny)
app.command("miniature")(miniature.miniature)
app.command("engines")(everything.engines)
app.command("onnx")(engines.onnx)
app.command("tensorrt")(tensorrt.tensorrt)
app.command("trtllm")(trtllm.trtllm)
app.command("list")(engines.list_engines)
app.command("verify")(engines.verify)
app.command("prune")(engines.prune)
