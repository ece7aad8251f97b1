"""Builds results for tests by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from benchmarks.machine import Machine
from benchmarks.results import Measurement, Result

MACHINE = Machine(processor="A processor", cores=2, memory_gb=24, system="Linux", bandwidth_gb_s=20.0)


def result(command: str, *measurements: Measurement, **settings: Any) -> Result:
    return Result(
        command=command,
        created=datetime(2026, 1, 2, tzinfo=UTC),
        commit="0123456789abcdef",
        modified=False,
        machine=MACHINE,
        versions={"python": "3.11"},
        settings={"bundle": "bark-small", "threads": 2, "repeats": 3, **settings},
        measurements=measurements,
    )


def stage(case: str, subject: str, *seconds: float, **facts: Any) -> Measurement:
    facts = {"parameters": 85_000_000, "amount": 499, "unit": "tokens", **facts}
    return Measurement(case=case, subject=subject, samples=seconds, facts=facts)
