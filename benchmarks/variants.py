"""The ways to run Bark, as data: a profile and a precision, exact or with options that approximate.

After you add a row to `VARIANTS`, `stages` measures its speed and `quality` measures its loss.
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
from benchmarks.results import ONNX_RUNTIME


@dataclass(frozen=True)
class Variant:
    """One way to run Bark."""

    profile: Profile
    precision: Precision
    #: From a checkpoint's spec to the inputs of the `bark` model that approximate; None: exact.
    approximation: Callable[[Spec], Mapping[str, Any]] | None = None
    label: str = ""  #: the approximation in two words
    #: The stages whose windows the approximation changes: what is measured stage by stage. Empty: only whole speech.
    changes: frozenset[Stage] = frozenset()
    kernels: bool = True  #: use our own kernels where they fit; else ONNX Runtime alone

    @property
    def name(self) -> str:
        return self.server_name + (f", {self.label}" if self.label else "")

    @property
    def server_name(self) -> str:
        """The name of a variant's server. Variants that differ only in options share a server."""
        return f"{self.profile} {self.precision}" + ("" if self.kernels else f", {ONNX_RUNTIME}")

    def options(self, spec: Spec) -> Mapping[str, Any]:
        """Inputs of the `bark` model, beside the text, for a checkpoint with this spec."""
        return self.approximation(spec) if self.approximation else {}

    def schedule(self, semantic: Ints, *, spec: Spec) -> coarse_layout.Schedule:
        """The coarse windows for [n] semantic tokens."""
        options = self.options(spec)
        history, window = options.get("coarse_history"), options.get("coarse_window")
        return coarse_layout.schedule(semantic, spec=spec, max_history=history, window=window)

    def fine_padding(self, spec: Spec) -> bool:
        """Whether a sentence shorter than a window of the fine stage is padded to a full window."""
        return bool(self.options(spec).get("fine_padding", True))

    @property
    def server(self) -> tuple[Profile, Precision, bool]:
        """Profile, precision and kernels of a server. Variants that differ only in options share a server."""
        return self.profile, self.precision, self.kernels


def _precisions(profile: Profile) -> Sequence[Variant]:
    row = TABLE[profile]
    precisions = dict.fromkeys([row.precision, *row.precisions])  # the default one first
    return [Variant(profile, precision) for precision in precisions]


def no_padding(spec: Spec) -> Mapping[str, Any]:
    """Windows of the fine stage are no longer than the sentence."""
    return {"fine_padding": False}


def low_latency(spec: Spec) -> Mapping[str, Any]:
    """Fast options, and audio that leaves in chunks."""
    return {**fast_options(spec), "latency": "low"}


VARIANTS: Sequence[Variant] = (
    *_precisions("cpu"),
    Variant("cpu", "int8", kernels=False),
    *(Variant("cpu", one, long_windows, "long windows", frozenset({"coarse"})) for one in TABLE["cpu"].precisions),
    Variant("cpu", "int8", no_padding, "no padding", frozenset({"fine"})),
    *(
        Variant("cpu", "int4", fast_options, "fast options", frozenset({"coarse", "fine"}), kernels=kernels)
        for kernels in (True, False)
    ),
    Variant("cpu", "int8", low_latency, "low latency"),
    *_precisions("torch"),
)


def reference(profile: Profile = "cpu") -> Variant:
    """The variant that others are compared with: full precision, no approximation."""
    return Variant(profile, "fp32")


def find(name: str) -> Variant:
    """The variant of that name. Raises `BenchmarkError`, which lists all names, if there is none."""
    for variant in VARIANTS:
        if variant.name == name:
            return variant
    names = ", ".join(repr(variant.name) for variant in VARIANTS)
    raise BenchmarkError(f"There is no variant {name!r}.", remedy=f"The variants are {names}.")


def chosen(names: Sequence[str] | None) -> list[Variant]:
    """The named variants. By default all of the cpu profile, and with a GPU those of the torch profile too."""
    if names:
        return [find(name) for name in names]
    import torch

    profiles = {"cpu", "torch"} if torch.cuda.is_available() else {"cpu"}
    return [variant for variant in VARIANTS if variant.profile in profiles]


def changing(names: Sequence[str] | None, stages: Collection[str], *, of: str) -> list[Variant]:
    """The chosen variants, without approximations that change none of these ``stages``.

    Raises `BenchmarkError` if such a variant was named. ``of`` says in the message what is measured.
    """
    found = chosen(names)
    unchanged = [variant for variant in found if variant.approximation and variant.changes.isdisjoint(stages)]
    if names and unchanged:
        variant = unchanged[0]
        changed = f"the {' and '.join(sorted(variant.changes))} windows" if variant.changes else "whole sentences"
        raise BenchmarkError(
            f"{variant.name!r} changes only {changed}, and {of} measures none.",
            remedy=f"Name '{variant.profile} {variant.precision}'.",
        )
    return [variant for variant in found if variant not in unchanged]
