"""Jobs on the terminal: the plan as a table, then a bar for each engine that is built."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from build_engines.commands.console import console
from build_engines.errors import BuildError
from build_engines.plan import Job

INTERRUPTED = 130


def show(jobs: Sequence[Job], *, root: Path) -> None:
    """Print what is there, what will be built, and what that takes."""
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "precision", "GPU", "made with", "engine", "time", "disk"):
        right = column in ("time", "disk")
        table.add_column(column, no_wrap=column != "made with", justify="right" if right else "left")
    for job in jobs:
        table.add_row(*_row(job))
    console.print(table)
    wanted = [job for job in jobs if job.wanted]
    refused = sum(job.refusal is not None for job in jobs)
    there = sum(job.there is not None for job in jobs)
    parts = [f"{there} there", f"{len(wanted)} to build", *([f"{refused} cannot be built here"] if refused else [])]
    console.print(
        f"{', '.join(parts)}"
        + (f": about {_time(sum(job.estimate.seconds for job in wanted))}, {_bytes(_kept(wanted))}" if wanted else "")
        + f". {_bytes(_free(root))} are free in {root}.",
        soft_wrap=True,
    )


def carry_out(jobs: Sequence[Job], *, root: Path) -> None:
    """Build what is wanted, one after the other; what is done is kept, whatever happens to the rest.

    Leaves with status 1 when an engine could not be built, here or at all, each with its error and remedy.
    """
    wanted = [job for job in jobs if job.wanted]
    needed = _kept(wanted) + max((job.estimate.scratch for job in wanted), default=0)
    if needed > _free(root):
        raise BuildError(
            f"The engines need about {_bytes(needed)}, {_bytes(_free(root))} are free in {root}.",
            remedy="Make room with `bark-build prune`, or give another folder with --engines.",
        )
    errors = [(job, job.refusal) for job in jobs if job.refusal]
    bar = Progress(
        TextColumn("{task.description:<32}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=console,
    )
    with bar:
        for job in wanted:
            try:
                _build(job, bar)
            except BuildError as error:
                errors.append((job, error))
            except KeyboardInterrupt:
                bar.stop()
                console.print("Stopped. What is done is kept: the same command goes on from here.", soft_wrap=True)
                raise typer.Exit(INTERRUPTED) from None
    _report(errors)


def _build(job: Job, bar: Progress) -> None:
    label = f"{job.stage} {job.architecture}" if job.architecture != "any" else job.stage
    task = bar.add_task(f"{label}: its turn", total=1.0)
    assert job.make is not None

    def on_step(step: str, share: float) -> None:
        bar.update(task, description=f"{label}: {step}", completed=share)

    try:
        engine = job.make(on_step)
    except BuildError:
        bar.update(task, description=f"[red]{label}: failed[/red]")
        bar.stop_task(task)
        raise
    bar.update(task, description=f"{label}: built", completed=1.0)
    bar.stop_task(task)
    bar.console.print(f"{job.stage} {job.precision}: {engine.folder}", soft_wrap=True)


def _report(errors: Sequence[tuple[Job, BuildError]]) -> None:
    """Each error once, with the stages it keeps from being built: one missing library is one line."""
    stages: dict[tuple[str, str], list[str]] = {}
    for job, error in errors:
        stages.setdefault((error.problem, error.remedy), []).append(job.stage)
    for (problem, remedy), names in stages.items():
        console.print(f"[red]error:[/red] {escape(', '.join(dict.fromkeys(names)))}: {escape(problem)}", soft_wrap=True)
        if remedy:
            console.print(escape(remedy), soft_wrap=True)
    if errors:
        raise typer.Exit(1)


def _row(job: Job) -> tuple[str, ...]:
    if job.there:
        engine, time, size = f"there, {job.there.folder.name[:8]}", "", _bytes(job.there.size)
    elif job.refusal:
        engine, time, size = "[red]not here[/red]", "", ""
    else:
        engine, time, size = "to build", f"~{_time(job.estimate.seconds)}", f"~{_bytes(job.estimate.size)}"
    return job.stage, job.precision, job.architecture, job.title, engine, time, size


def _kept(jobs: Sequence[Job]) -> int:
    return sum(job.estimate.size for job in jobs)


def _free(root: Path) -> int:
    """Bytes free where the store is, or will be."""
    folder = root.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
