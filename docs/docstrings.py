"""An extension of Griffe, the library that reads docstrings for the API pages.

A comment ``#: …`` beside an attribute is its docstring. Lines of ``>>>`` are a block of code.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Attribute, Docstring, Extension, Object

_COMMENT = re.compile(r"#:\s*(.*)$")
_EXAMPLE = re.compile(r"(?m)(?:^(?:>>>|\.\.\.).*\n?)+")


class Docstrings(Extension):
    """Completes docstrings as they are loaded."""

    def on_attribute(self, *, attr: Attribute, **kwargs: Any) -> None:
        """Take the comment on the attribute's last line."""
        lines = attr.source.splitlines() if attr.lineno else []
        if attr.docstring is None and lines and (comment := _COMMENT.search(lines[-1])):
            attr.docstring = Docstring(comment[1], lineno=attr.endlineno, parent=attr)

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Make code blocks of the examples outside a section."""
        if obj.docstring:
            text = obj.docstring.value
            obj.docstring.value = _EXAMPLE.sub(lambda lines: f"```python\n{lines[0].rstrip()}\n```\n", text)
