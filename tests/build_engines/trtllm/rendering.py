"""Renders the ``trtllm`` repository without engines, from the manifests that they would have."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.profiles import Precision
from bark_serving.server import repository
from bark_serving.server.render_settings import RenderSettings
from bark_serving.spec import GptStage
from build_engines.trtllm import build
from build_engines.trtllm.versions import DEFAULT, Release

MODELS = ("semantic", "coarse", "bark")


def render_repository(
    bundle: Bundle, folder: Path, *, release: Release = DEFAULT, precision: Precision = "fp16", **options: Any
) -> Path:
    """`MODELS` under ``folder/trtllm``, for engines of at most 16 sequences."""

    def find(_: EngineStore, bundle: Bundle, *, stage: GptStage, **__: Any) -> Any:
        manifest = build.manifest(
            bundle, stage=stage, precision=precision, release=release, architecture="sm90", batch=16
        )
        return SimpleNamespace(folder=folder / f"engine of {stage}", manifest=manifest)

    templates = folder / "templates"
    templates.mkdir(parents=True)
    for path in repository.templates_folder().iterdir():
        if path.is_file() or path.name in MODELS:
            (templates / path.name).symlink_to(path)
    with mock.patch.object(EngineStore, "find", find):
        settings = RenderSettings(
            bundle=bundle.folder,
            engines=folder,
            profile="trtllm",
            precision=precision,
            **{"gpus": (0,), "max_batch": 8, **options},
        )
        return repository.render_from(templates, settings, output=folder / "trtllm")
