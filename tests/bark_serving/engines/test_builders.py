"""What builds engines, here or elsewhere."""

from __future__ import annotations

import pytest

from bark_serving.engines import builders
from bark_serving.engines.builders import how_to_build


def test_where_engines_can_be_built_the_remedy_is_one_command() -> None:
    said = how_to_build("bark-build engines", first="rm -r x", otherwise=", or wait")
    assert said == "Run `rm -r x && bark-build engines`, or wait."


def test_where_they_can_not_be_built_no_command_is_asked_for_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builders, "program", lambda: None)
    said = how_to_build("bark-build engines", first="rm -r x", otherwise=", or wait")
    assert said.startswith("Run `rm -r x`. Engines cannot be built here: ")
    assert "`bark-build engines` on a machine that has it" in said and "builder-cpu" in said and "or wait" not in said
