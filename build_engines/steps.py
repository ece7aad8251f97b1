"""How long work reports its progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence

OnStep = Callable[[str, float], None]  #: the step that begins or goes on, and the share of the whole work that is done


def ignore_steps(step: str, share: float) -> None:
    """An `OnStep` for callers that show no progress."""


def report_steps(on_step: OnStep, steps: Sequence[str]) -> Callable[..., None]:
    """``report(step, share=0)``: tells `on_step` of a share (0 to 1) of one of `steps`, all of which count alike."""

    def report(step: str, share: float = 0.0) -> None:
        on_step(step, (steps.index(step) + share) / len(steps))

    return report
