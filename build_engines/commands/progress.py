"""Progress on the terminal: a bar per job; for engines, first a table of the jobs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bark_serving.cli.console import console, print_error
from bark_serving.engines.store import engines_option
from bark_serving.errors import UserError
from bark_serving.files import existing_place, why_not_writable
from build_engines.engine_jobs import ANY, EngineJob
from build_engines.errors import BuildError
from build_engines.steps import OnStep

INTERRUPTED = 130  #: exit status after Ctrl-C


def share_bars() -> Progress:
    """A bar per task: its label, the share that is done, and the time since it began."""
    return Progress(
        TextColumn("{task.description:<32}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=console,
    )


def print_jobs(jobs: Sequence[EngineJob], *, root: Path) -> None:
    """Print what exists, what will be built, and the time and space that it takes in the store at `root`."""
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "precision", "GPU", "runs in", "engine", "time", "disk"):
        right = column in ("time", "disk")
        table.add_column(column, no_wrap=column != "runs in", justify="right" if right else "left")
    for job in jobs:
        table.add_row(*_row(job))
    console.print(table)
    to_build = [job for job in jobs if job.to_build]
    existing = sum(job.existing is not None for job in jobs)
    refused = sum(job.refusal is not None for job in jobs)
    counts = [f"{existing} exist", f"{len(to_build)} to build"]
    if refused:
        counts.append(f"{refused} cannot be built here")
    seconds = sum(job.estimate.seconds for job in to_build)
    needs = f": about {_time(seconds)}, {_bytes(_size(to_build))}" if to_build else ""
    console.print(f"{', '.join(counts)}{needs}. {_bytes(_free(root))} are free in {root}.", soft_wrap=True)


def build_all(jobs: Sequence[EngineJob], *, root: Path) -> None:
    """Build the engines that are to be built, one after the other. An error in one does not stop the others.

    Prints each error with its remedy, and leaves with status 1 if there was one, or if a job was refused.
    Raises `BuildError` if the disk is too small, or if this user may not write to the store.
    """
    _check_room(jobs, root=root)
    to_build = [job for job in jobs if job.to_build]
    errors: list[tuple[EngineJob, UserError]] = [(job, job.refusal) for job in jobs if job.refusal]
    with share_bars() as progress:
        for job in to_build:
            try:
                _build(job, progress)
            except UserError as error:
                errors.append((job, error))
            except KeyboardInterrupt:
                progress.stop()
                console.print("Stopped. Finished engines are kept: the same command goes on from here.", soft_wrap=True)
                raise typer.Exit(INTERRUPTED) from None
    _print_errors(errors)


def check_all(jobs: Sequence[EngineJob], *, root: Path) -> None:
    """Print why engines cannot be built here, and leave with status 1 if there are such. It builds nothing.

    Raises `BuildError` if the disk is too small, or if this user may not write to the store.
    """
    _print_errors([(job, job.refusal) for job in jobs if job.refusal])
    _check_room(jobs, root=root)


def _check_room(jobs: Sequence[EngineJob], *, root: Path) -> None:
    """Raise `BuildError` if the disk is too small, or if this user may not write there."""
    to_build = [job for job in jobs if job.to_build]
    needed = _size(to_build) + max((job.estimate.scratch for job in to_build), default=0)
    if needed > _free(root):
        raise BuildError(
            f"The engines need about {_bytes(needed)}, {_bytes(_free(root))} are free in {root}.",
            remedy=f"Make room with `bark-build prune {engines_option(root)}`, or give another folder with --engines.",
        )
    if to_build and (why := why_not_writable(root)):
        raise BuildError(f"No engine can be kept in {root}: {why}.", remedy="Give another folder with --engines.")


def _build(job: EngineJob, progress: Progress) -> None:
    label = f"{job.stage} {job.architecture}" if job.architecture != ANY else job.stage
    task = progress.add_task(f"{label}: waiting", total=1.0)
    assert job.make is not None

    def on_step(step: str, share: float) -> None:
        progress.update(task, description=f"{label}: {step}", completed=share)

    try:
        engine = job.make(on_step=on_step)
    except UserError:
        progress.update(task, description=f"[red]{label}: failed[/red]")
        progress.stop_task(task)
        raise
    progress.update(task, description=f"{label}: built", completed=1.0)
    progress.stop_task(task)
    progress.console.print(f"{job.stage} {job.precision}: {engine.folder}", soft_wrap=True)


def _print_errors(errors: Sequence[tuple[EngineJob, UserError]]) -> None:
    """Each error once, with the stages that it stops: a missing library is one line for all its stages."""
    stages: dict[tuple[str, str], list[str]] = {}
    for job, error in errors:
        stages.setdefault((error.problem, error.remedy), []).append(job.stage)
    for (problem, remedy), names in stages.items():
        print_error(f"{', '.join(dict.fromkeys(names))}: {problem}", remedy)
    if errors:
        raise typer.Exit(1)


def _row(job: EngineJob) -> tuple[str, ...]:
    if job.existing:
        engine, time, size = f"exists, {job.existing.folder.name[:8]}", "", _bytes(job.existing.size)
    elif job.refusal:
        engine, time, size = "[red]not here[/red]", "", ""
    else:
        engine, time, size = "to build", f"~{_time(job.estimate.seconds)}", f"~{_bytes(job.estimate.size)}"
    return job.stage, job.precision, job.architecture, escape(job.title), engine, time, size


def one_bar(progress: Progress) -> OnStep:
    """An `OnStep` that moves one bar of `progress`."""
    task = progress.add_task("starting", total=1.0)

    def on_step(step: str, share: float) -> None:
        progress.update(task, description=step, completed=share)

    return on_step


def _size(jobs: Sequence[EngineJob]) -> int:
    return sum(job.estimate.size for job in jobs)


def _free(root: Path) -> int:
    """Free bytes where the store is, or will be."""
    return shutil.disk_usage(existing_place(root)).free


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
