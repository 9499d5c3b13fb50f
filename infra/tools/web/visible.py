"""Text as a person would see it: what is invisible in a font is taken out."""

from __future__ import annotations

import re
from typing import Final

_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
"""Controls, zero-width and bidirectional marks, fillers, variation selectors and tags, in which text can be hidden."""


def visible(text: str) -> str:
    """Without the characters that show nothing; line ends become newlines."""
    return _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def shortened(text: str, most: int) -> tuple[str, bool]:
    """At most `most` bytes of UTF-8, and whether something was cut off."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= most:
        return text, False
    return raw[:most].decode("utf-8", "ignore"), True
