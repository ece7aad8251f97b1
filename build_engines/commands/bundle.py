"""``bark-build import`` and ``bark-build tiny``: the commands that make bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from build_engines.commands.console import console, errors_shown, progress

Out = Annotated[Path, typer.Argument(help="The folder to make.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing bundle at OUT.")]


def tiny(
    out: Out = Path("build/bundles/tiny"),
    seed: Annotated[int, typer.Option(help="Another seed, other weights; the same seed, the same bytes.")] = 0,
    name: Annotated[str | None, typer.Option(help="The bundle's name. Default: bark-tiny, bark-large-random …")] = None,
    size: Annotated[
        Literal["tiny", "small", "large"], typer.Option(help="tiny: seconds, 5 MB. small, large: Bark's true sizes.")
    ] = "tiny",
    tokenizer: Annotated[
        Path | None, typer.Option(help="vocab.txt or tokenizer.json to use instead of the small one.")
    ] = None,
    force: Force = False,
) -> None:
    """Make a bundle of **random weights**: a miniature for tests and for trying things out.

    It runs like Bark and speaks noise. With `--size small` or `large` the networks have Bark's true sizes, for
    measuring speed without a checkpoint.

    Example: `bark-build tiny build/bundles/tiny --seed 7`
    """
    from build_engines.checkpoints.tiny import STEPS, make_random_bundle  # torch is slow to import

    with errors_shown(), progress() as bar:
        task = bar.add_task("starting", total=len(STEPS))

        def step(label: str) -> None:
            bar.update(task, description=label, completed=STEPS.index(label))

        bundle = make_random_bundle(
            out, size=size, seed=seed, name=name, tokenizer=tokenizer, force=force, on_step=step
        )
        bar.update(task, description="done", completed=len(STEPS))
    console.print(f"[green]{bundle.spec.name}[/green] in {out}  (hash {bundle.hash[:12]})", soft_wrap=True)


def import_checkpoint(source: Annotated[str, typer.Argument()], out: Out) -> None:
    """Import a checkpoint."""
    raise NotImplementedError
