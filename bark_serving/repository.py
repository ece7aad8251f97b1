"""A Triton model repository from templates: one bundle, its engines, one profile → a folder that Triton can load.

The templates are ``model_repository/<model>/config.pbtxt.j2``. They are given: `profile`, `precision` (the stage's),
`bundle` and `engine` (absolute folders), `spec`, `voices` (folders, separated as in PATH), `instances`, `max_batch`,
`threads`, `calls` (stage calls in flight at most) and `queue_delay` (µs that a batch waits to fill).
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from bark_serving.engines import (
    STAGES,
    EngineError,
    EngineMissing,
    EngineStore,
    Precision,
    Profile,
    stage_precision,
)
from bark_serving.server.errors import RepositoryError
from bark_serving.spec import Bundle

TEMPLATE = "config.pbtxt.j2"
CLONING = frozenset({"encodec_encode", "hubert"})  #: serve only to make voices, which needs a bundle with HuBERT


def templates_folder() -> Path:
    """``model_repository``: beside the packages in a checkout, inside this one in a wheel."""
    here = Path(__file__).resolve().parent
    for folder in (here / "model_repository", here.parent / "model_repository"):
        if folder.is_dir():
            return folder
    raise RepositoryError("The model_repository templates are not installed.", remedy="Install bark-triton again.")


def render(
    *,
    bundle: Path,
    engines: Path,
    output: Path,
    profile: Profile = "cpu",
    precision: Precision = "int8",
    voices: Sequence[Path] | Path | None = None,
    instances: int = 1,
    max_batch: int = 8,
    threads: int | None = None,
    queue_delay: int = 2_000,
    templates: Path | None = None,
) -> Path:
    """Render the repository to `output`, replacing one that is there, and return its absolute path.

    `threads`: per stage call, default all cores. `max_batch`: sequences or requests a stage runs together. `voices`:
    folders of voices beside the bundle's own. A repository appears whole or not at all.
    Raises `BundleError`, `EngineMissing` or `EngineMismatch` with the command that makes the engine, `RepositoryError`.
    """
    source = (templates or templates_folder()).absolute()
    opened = Bundle(bundle.absolute())
    store = EngineStore(engines)
    folders = [voices] if isinstance(voices, Path) else list(voices or ())
    values: dict[str, Any] = {
        "profile": profile,
        "bundle": opened.folder,
        "spec": opened.spec,
        "voices": os.pathsep.join(str(_existing(folder)) for folder in folders),
        "instances": instances,
        "max_batch": max_batch,
        "threads": threads or os.cpu_count() or 1,
        "calls": 4 * max_batch,
        "queue_delay": queue_delay,
    }
    models: dict[str, dict[str, Any]] = {}
    missing: list[EngineError] = []
    for model in sorted(path.parent.name for path in source.glob(f"*/{TEMPLATE}")):
        if model in CLONING and opened.spec.hubert is None:
            continue
        models[model] = dict(values)
        for stage in STAGES:
            if stage == model:
                chosen = stage_precision(stage, precision)
                try:
                    engine = store.find(opened, stage=stage, profile=profile, precision=chosen)
                except EngineError as error:
                    missing.append(error)
                else:
                    models[model] |= {"precision": chosen, "engine": engine.folder.absolute()}
    if len(missing) == 1:
        raise missing[0]
    if missing:
        raise EngineMissing(
            f"{len(missing)} engines are missing or do not fit. {missing[0].problem}",
            remedy=f"Run `bark-build onnx --bundle {bundle} --precision {precision} --engines {engines}`.",
        )
    return _write(models, source=source, output=output.absolute())


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise RepositoryError(f"{folder} is not a folder of voices.", remedy="Give --voices a folder of .npz files.")
    return folder.absolute()


def _write(models: dict[str, dict[str, Any]], *, source: Path, output: Path) -> Path:
    """Render into a folder beside `output`, then put it in its place."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(source), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["tojson"] = _quote  # jinja's own escapes for HTML, which protobuf's text format is not
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        for model, values in models.items():
            shutil.copytree(
                source / model, temporary / model, ignore=shutil.ignore_patterns(TEMPLATE, "__pycache__", "*.pyc")
            )
            try:
                text = environment.get_template(f"{model}/{TEMPLATE}").render(values)
            except jinja2.TemplateError as error:
                raise RepositoryError(
                    f"{source / model / TEMPLATE}: {error}.",
                    remedy="Correct the template, or install bark-triton again.",
                ) from error
            (temporary / model / "config.pbtxt").write_text(text, encoding="utf-8")
        temporary.chmod(0o755)
        _replace(output, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return output


def _quote(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _replace(target: Path, new: Path) -> None:
    """Put the folder `new` where `target` is; the old one goes only once the new one is in place."""
    old = new.with_name(f"{new.name}-old")
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
