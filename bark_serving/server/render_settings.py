"""What a model repository is rendered from, and whether this machine can serve it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from bark_serving.engines.store import DEFAULT_ROOT
from bark_serving.errors import install_remedy
from bark_serving.host.gpus import architectures, gpu_count
from bark_serving.profiles import TABLE, Precision, Profile
from bark_serving.server.errors import RepositoryError
from bark_serving.voices.store import MAX_BYTES, MAX_VOICES


class RenderSettings(BaseModel):
    """What a model repository is rendered from. Raises `pydantic.ValidationError` naming the wrong field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: Path
    engines: Path = DEFAULT_ROOT
    profile: Profile = "cpu"
    precision: Precision | None = Field(default=None, validate_default=True)  #: None: the profile's
    gpus: tuple[int, ...] | None = None  #: numbers of the GPUs to use; empty: the CPU; None: all GPUs of this machine
    architecture: str | None = None  #: of the GPUs that will serve, as in ``sm90``; None: this machine's
    voices: tuple[Path, ...] = ()  #: folders of voices beside the bundle's own
    voice_store: Path | None = None  #: where clients' voices are kept; None: `voice_store_of` the bundle
    max_voices: int = Field(default=MAX_VOICES, ge=0)  #: limit of the voice store
    max_voice_bytes: int = Field(default=MAX_BYTES, ge=0)  #: limit of the voice store
    threads: int | None = Field(default=None, ge=1)  #: of one stage call; None: all cores
    kernels: bool = True  #: whether the kernels may run the transformers of the cpu profile; else ONNX Runtime does
    max_batch: int = Field(default=8, ge=1)  #: how many sequences a stage runs together

    @field_validator("precision")
    @classmethod
    def _of_the_profile(cls, precision: Precision | None, info: ValidationInfo) -> Precision | None:
        profile: Profile | None = info.data.get("profile")  # None: it was wrong itself
        if profile and precision and precision not in TABLE[profile].precisions:
            raise ValueError(f"the {profile} profile has {', '.join(TABLE[profile].precisions)}, not {precision}")
        return precision

    @field_validator("max_batch")
    @classmethod
    def _within_a_plan(cls, max_batch: int, info: ValidationInfo) -> int:
        profile: Profile | None = info.data.get("profile")
        if profile and max_batch > (limit := TABLE[profile].max_batch or max_batch):
            raise ValueError(f"a plan of the {profile} profile decodes at most {limit} sequences at once: give {limit}")
        return max_batch

    @property
    def chosen_precision(self) -> Precision:
        return self.precision or TABLE[self.profile].precision

    @cached_property
    def used_gpus(self) -> Sequence[int]:
        """`usable_gpus`. Raises `RepositoryError`."""
        return usable_gpus(self.profile, self.gpus, architecture=self.architecture)


def usable_gpus(profile: Profile, asked: Sequence[int] | None, *, architecture: str | None = None) -> Sequence[int]:
    """The numbers of the GPUs that a server of the profile uses. They are another machine's if `architecture` is given.

    Raises `RepositoryError` if the profile cannot use what was asked for.
    """
    need = TABLE[profile].gpu
    if need == "never":
        if asked:
            raise RepositoryError(
                f"The {profile} profile runs on the CPU.", remedy="Leave --gpus out, or give --profile torch."
            )
        return ()
    if asked is None:
        # a repository may be rendered on a machine without a GPU for one that has it
        asked = tuple(range(gpu_count())) or ((0,) if need == "always" else ())
    if need == "always":
        if not asked:
            raise RepositoryError(f"The {profile} profile needs a GPU.", remedy="Give --gpus 0, or --profile cpu.")
        if architecture is None and len(kinds := architectures(asked)) > 1:  # an engine runs on one
            raise RepositoryError(
                f"These GPUs are of several kinds: {', '.join(kinds)}.",
                remedy="Name those of one kind, as in --gpus 0.",
            )
    return asked


def check_installed(profile: Profile) -> None:
    """Raise `RepositoryError` when the library that the profile's models import is not there."""
    row = TABLE[profile]
    if row.module and importlib.util.find_spec(row.module) is None:
        raise RepositoryError(
            f"The {profile} profile needs {row.module}, which is not installed.",
            remedy=install_remedy(row.extra),
        )
