"""The ways to run Bark that are measured, as data: a profile in a precision, exact or with approximating options.

Add a row to `VARIANTS` and `stages` measures its speed, `quality` what it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bark_serving.arrays import Ints
from bark_serving.layouts import coarse as coarse_layout
from bark_serving.profiles import TABLE, Precision, Profile, Stage
from bark_serving.spec import Spec
from bark_serving.speech.request import fast_options, long_windows
from benchmarks.errors import BenchmarkError


@dataclass(frozen=True)
class Variant:
    """One way to run Bark."""

    profile: Profile
    precision: Precision
    #: A checkpoint's numbers → inputs of the `bark` model that change what is computed; None: nothing is approximated.
    approximation: Callable[[Spec], Mapping[str, Any]] | None = None
    label: str = ""  #: what the approximation does, in two words
    changes: frozenset[Stage] = frozenset()  #: the stages that then compute something else

    @property
    def name(self) -> str:
        return f"{self.profile} {self.precision}" + (f", {self.label}" if self.label else "")

    def options(self, spec: Spec) -> Mapping[str, Any]:
        """Inputs of the `bark` model, beside the text, of a checkpoint with these numbers."""
        return self.approximation(spec) if self.approximation else {}

    def schedule(self, semantic: Ints, *, spec: Spec) -> coarse_layout.Schedule:
        """The coarse windows for [n] semantic tokens."""
        options = self.options(spec)
        history, window = options.get("coarse_history"), options.get("coarse_window")
        return coarse_layout.schedule(semantic, spec=spec, max_history=history, window=window)

    def fine_padding(self, spec: Spec) -> bool:
        """Whether sentences shorter than a window of the fine stage are filled up."""
        return bool(self.options(spec).get("fine_padding", True))

    @property
    def server(self) -> tuple[Profile, Precision]:
        """What a server is started with; variants that differ in options only share one."""
        return self.profile, self.precision


def _precisions(profile: Profile) -> Sequence[Variant]:
    row = TABLE[profile]
    precisions = dict.fromkeys([row.precision, *row.precisions])  # the default one first
    return [Variant(profile, precision) for precision in precisions]


def no_padding(spec: Spec) -> Mapping[str, Any]:
    """Windows of the fine stage as short as the sentence."""
    return {"fine_padding": False}


VARIANTS: Sequence[Variant] = (
    *_precisions("cpu"),
    *(Variant("cpu", one, long_windows, "long windows", frozenset({"coarse"})) for one in TABLE["cpu"].precisions),
    Variant("cpu", "int8", no_padding, "no padding", frozenset({"fine"})),
    Variant("cpu", "int4", fast_options, "fast options", frozenset({"coarse", "fine"})),
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


def changing(names: Sequence[str] | None, stages: Collection[str], *, of: str) -> list[Variant]:
    """The same without those that differ from another in none of these stages.

    Raises `BenchmarkError` when one of them was named; ``of`` says what for.
    """
    found = chosen(names)
    idle = [variant for variant in found if variant.approximation and variant.changes.isdisjoint(stages)]
    if names and idle:
        variant = idle[0]
        raise BenchmarkError(
            f"{variant.name!r} differs in its {' and '.join(sorted(variant.changes))} windows only, "
            f"which {of} has none of.",
            remedy=f"Name '{variant.profile} {variant.precision}'.",
        )
    return [variant for variant in found if variant not in idle]
