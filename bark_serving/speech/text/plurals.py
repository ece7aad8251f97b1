"""English plurals of numbers."""

from __future__ import annotations

YEAR = r"1[1-9]\d\d|20[1-9]\d"  #: what is read as a year in English
