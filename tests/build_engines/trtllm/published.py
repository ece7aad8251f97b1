"""Names and types that TensorRT-LLM's releases publish, from ``published.json``, which names the sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_DATA = json.loads(Path(__file__).with_name("published.json").read_text(encoding="utf-8"))

#: By release. Sections that two releases share are in the file once.
PUBLISHED: dict[str, Any] = {
    release: {section: _DATA["sections"][key] for section, key in row.items()}
    for release, row in _DATA["releases"].items()
}
