"""``bark-build miniature``: the checkpoint that this project ships, trained from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import TaskID

from bark_serving.cli.console import bars, errors_shown
from build_engines.commands.bundle import print_bundle
from build_engines.commands.requirements import TORCH, require

Device = Literal["auto", "cpu", "cuda"]


def miniature(
    out: Annotated[Path, typer.Argument(help="The folder to make.")] = Path("build/bundles/miniature"),
    work: Annotated[
        Path, typer.Option(help="Folder of recordings and training states, 2 GB. The command continues from it.")
    ] = Path("build/miniature"),
    recipe: Annotated[
        Path | None,
        typer.Option(help="JSON file of numbers that replace the defaults, like the recipe.json in --work."),
    ] = None,
    device: Annotated[
        Device,
        typer.Option(help="Where to train. auto: a GPU if torch sees one. A stopped training may change device."),
    ] = "auto",
    until: Annotated[str, typer.Option(help="The last step to run: recordings, times, hubert … bundle.")] = "bundle",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing bundle at OUT.")] = False,
) -> None:
    """Train a **miniature Bark** that speaks English: for demonstration and tests, 27 MB.

    A teacher (Piper) speaks thousands of sentences, which takes half an hour. Then five networks learn from them, one
    after the other. With two CPU cores this takes hours. You can stop it at any time: the same command continues.

    Needs `pip install -e '.[train]'` in the checkout of bark-triton.

    Example: `bark-build miniature build/bundles/miniature`
    """
    with errors_shown():
        require(*TORCH, "soxr", extra="train")
        import torch

        from build_engines.miniature.make import STEPS, make_miniature  # torch is slow to import
        from build_engines.miniature.recipe import Recipe
        from build_engines.miniature.teacher import Piper

        if until not in STEPS:
            raise typer.BadParameter(
                f"{until!r} is not a step. The steps are {', '.join(STEPS)}.", param_hint="--until"
            )
        has_gpu = torch.cuda.is_available()
        if device == "cuda" and not has_gpu:
            raise typer.BadParameter("torch sees no GPU. Leave it out to train on the CPU.", param_hint="--device")
        if device == "auto":
            device = "cuda" if has_gpu else "cpu"
        chosen = Recipe.model_validate_json(recipe.read_text()) if recipe else Recipe()
        tasks: dict[str, TaskID] = {}

        def on_progress(step: str, done: int, total: int, note: str = "") -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done, description=f"{step}  {note}" if note else step)

        with bars() as progress:
            bundle = make_miniature(
                out,
                work=work,
                recipe=chosen,
                teacher=lambda rate: Piper(chosen, rate=rate),
                device=device,
                until=until,
                force=force,
                on_progress=on_progress,
            )
    if bundle:
        print_bundle(bundle)
