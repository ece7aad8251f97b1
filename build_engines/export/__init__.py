"""Networks to engines. `make` is the way in: one stage of a bundle, exported, validated and put into the store."""

from __future__ import annotations

from build_engines.export.build import builder_version, make

__all__ = ["builder_version", "make"]
