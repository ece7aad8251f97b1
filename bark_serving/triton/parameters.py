"""The ``parameters`` of a model's config.pbtxt, and what is opened from them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from bark_serving.bundle import Bundle
from bark_serving.profiles import Precision, Profile
from bark_serving.runtimes.settings import RuntimeSettings
from bark_serving.voices import VoiceLibrary, VoiceStore


class Parameters:
    """The ``parameters`` of a model's config.pbtxt."""

    def __init__(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        self.model: str = config["name"]
        self._values: dict[str, str] = {
            key: value["string_value"] for key, value in config.get("parameters", {}).items()
        }

    def text(self, name: str) -> str:
        return self._values[name]

    def number(self, name: str) -> int:
        return int(self._values[name])

    def path(self, name: str) -> Path:
        return Path(self._values[name])

    def paths(self, name: str) -> list[Path]:
        """A list of folders, separated as in PATH; empty for an empty text."""
        return [Path(part) for part in self._values[name].split(os.pathsep) if part]

    def bundle(self) -> Bundle:
        return Bundle(self.path("bundle"))

    def runtime(self) -> RuntimeSettings:
        """The settings of the runtime of a stage."""
        return RuntimeSettings(
            profile=cast(Profile, self.text("profile")),
            precision=cast(Precision, self.text("precision")),
            bundle=self.bundle(),
            engine=self.path("engine") if "engine" in self._values else None,
            devices=self.text("devices").split(","),
            threads=self.number("threads"),
            kernels=self._values.get("kernels") != "off",
        )


def open_library(parameters: Parameters) -> VoiceLibrary:
    """The voices of the store, of the bundle, and of the folders in ``voices``."""
    bundle = parameters.bundle()
    store = VoiceStore(
        parameters.path("voice_store"),
        max_voices=parameters.number("max_voices"),
        max_bytes=parameters.number("max_voice_bytes"),
    )
    return VoiceLibrary([bundle.voices, *parameters.paths("voices")], spec=bundle.spec, store=store)
