"""The short form of `python -m benchmarks chaos`: a real server is broken while it speaks.

`tests.turns` has it run when no other test does.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.engines.store import EngineStore
from benchmarks import variants
from benchmarks.chaos.faults import Fault, chosen, deck
from benchmarks.chaos.measure import Chaos, chaos
from benchmarks.chaos.server import served
from tests.system.conftest import ENGINES

_EVERY_S = 4.0


def run(faults: Sequence[Fault], *, streams: int) -> Chaos:
    """The miniature on one thread. It speaks side by side, with these faults in turn."""
    with served(Bundle(MINIATURE), variants.find("cpu int8"), store=EngineStore(ENGINES), threads=1) as server:
        return chaos(server, iter(faults), seconds=3600, every=_EVERY_S, streams=streams, seed=0)


def assert_healed(seen: Chaos, *, faults: int) -> None:
    assert seen.whole and not seen.notes
    assert seen.wrong == 0 and any(answer.outcome == "finished" for answer in seen.answers)
    assert [answer.error for answer in seen.failed() if not answer.worded] == []
    assert len(seen.struck) == faults
    assert [one.fault.name for one in seen.struck if one.back is None] == []
    assert seen.processes_left == [] and seen.regions_left == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_server_heals_from_a_fault_of_each_kind() -> None:
    faults = [
        Fault("kill", "bark"),
        Fault("stop", "semantic", 3.0),
        Fault("starve", "fine", 3.0),
        Fault("hang", "coarse"),
        Fault("kill", "tritonserver"),
    ]
    assert_healed(run(faults, streams=2), faults=len(faults))


@pytest.mark.timeout(900)
def test_a_server_heals_from_every_fault() -> None:
    pairs = chosen(None)
    faults = [fault for fault, _ in zip(deck(pairs, seed=1), pairs, strict=False)]
    assert_healed(run(faults, streams=4), faults=len(pairs))
