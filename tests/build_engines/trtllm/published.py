"""What TensorRT-LLM's releases publish: names and types, from ``published.json`` (which says from where)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_DATA = json.loads(Path(__file__).with_name("published.json").read_text(encoding="utf-8"))

#: By release; what two releases have in common is written down once.
PUBLISHED: dict[str, Any] = {
    release: {section: _DATA["sections"][key] for section, key in row.items()}
    for release, row in _DATA["releases"].items()
}
