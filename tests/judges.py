"""Models that judge speech, for fixtures: a test is skipped where their packages are missing."""

from __future__ import annotations

from typing import TypeVar

import pytest

from bark_serving.errors import UserError
from bark_serving.host.cores import usable_cores
from reference.listener import Listener
from reference.quality import Dnsmos

Judge = TypeVar("Judge", Listener, Dnsmos)


def judge(kind: type[Judge], *, without: str) -> Judge:
    """A model of this kind. without: what the report of the tests says if there is none."""
    try:
        return kind(threads=usable_cores())
    except UserError as error:
        pytest.skip(f"{without}: {error}")
