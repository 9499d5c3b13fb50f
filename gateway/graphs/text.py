"""How wide a text is, without a browser: the advance widths of Helvetica (Adobe Font Metrics, 1/1000 em)."""

from __future__ import annotations

from typing import Final
from unicodedata import combining, east_asian_width

_WIDTHS: Final = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
)  # fmt: skip
"""Of the characters from space to tilde."""

LONGEST: Final = 40
"""Characters of a label that are shown."""


def width(text: str, size: float) -> int:
    """Pixels of a text at a font size, rounded up; generous for what the table does not have."""
    units = 0
    for character in text:
        code = ord(character)
        if 32 <= code < 127:
            units += _WIDTHS[code - 32]
        elif not combining(character):
            units += 1000 if east_asian_width(character) in "WF" else 722
    return int(units * size / 1000) + 1


def short(text: str) -> str:
    """The text, cut in the middle when it is too long, without characters that are not to be seen."""
    text = "".join(c if c.isprintable() else " " for c in text)
    if len(text) <= LONGEST:
        return text
    half = (LONGEST - 1) // 2
    return f"{text[:half]}…{text[-half:]}"
