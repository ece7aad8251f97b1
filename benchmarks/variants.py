"""The ways to run Bark that are measured, as data: a profile in a precision, exact or with approximating options.

Add a row to `VARIANTS` and `stages` measures its speed, `quality` what it costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bark_serving.profiles import TABLE, Precision, Profile
from benchmarks.errors import BenchmarkError


@dataclass(frozen=True)
class Variant:
    """One way to run Bark."""

    profile: Profile
    precision: Precision
    #: Inputs of the `bark` model that change what is computed: an approximation, named for what it does.
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""  #: what `options` do, in two words

    @property
    def name(self) -> str:
        return f"{self.profile} {self.precision}" + (f", {self.label}" if self.label else "")

    @property
    def server(self) -> tuple[Profile, Precision]:
        """What a server is started with; variants that differ in options only share one."""
        return self.profile, self.precision


def _precisions(profile: Profile) -> Sequence[Variant]:
    row = TABLE[profile]
    precisions = dict.fromkeys([row.precision, *row.precisions])  # the default one first
    return [Variant(profile, precision) for precision in precisions]


#: Windows of the coarse stage four times as long, beside a history short enough for both to fit its context (256 + 384
#: + 256 < 1 024): fewer windows need to be read anew, and each sees less. 384 coarse tokens are 2.6 s of speech.
LONG_WINDOWS: Mapping[str, Any] = {"coarse_window": 256, "coarse_history": 384}

VARIANTS: Sequence[Variant] = (
    *_precisions("cpu"),
    *(Variant("cpu", precision, LONG_WINDOWS, "long windows") for precision in TABLE["cpu"].precisions),
    *_precisions("torch"),
)


def reference(profile: Profile = "cpu") -> Variant:
    """What the others are held against: full precision, nothing approximated."""
    return Variant(profile, "fp32")


def find(name: str) -> Variant:
    """The variant of that name. Raises `BenchmarkError` listing those there are."""
    for variant in VARIANTS:
        if variant.name == name:
            return variant
    names = ", ".join(repr(variant.name) for variant in VARIANTS)
    raise BenchmarkError(f"There is no variant {name!r}.", remedy=f"There are {names}.")


def chosen(names: Sequence[str] | None) -> list[Variant]:
    """The named variants; by default all of the cpu profile, and on a machine with a GPU those of torch."""
    if names:
        return [find(name) for name in names]
    import torch

    profiles = {"cpu", "torch"} if torch.cuda.is_available() else {"cpu"}
    return [variant for variant in VARIANTS if variant.profile in profiles]
