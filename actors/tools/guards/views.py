"""Other ways to read a text: without what nobody sees, with look-alikes as what they look like, and decoded.

A view remembers where in the original each of its characters comes from, so that a finding has a place there.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote

LONGEST: Final = 200_000
"""Characters of a text that are read in other ways; beyond it, it is read as it is."""
DEEPEST: Final = 2
"""How often what was decoded is decoded again."""

_LOOKALIKES: Final = str.maketrans(
    "аеорсухіјѕԁһԛԝвкмнтгАВЕКМНОРСТУХІЈЅαβεικνορτυχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧɑɡɩʏǃ‐‑‒–—―ⲟℓ",
    "aeopcyxijsdhqwbkmhtrABEKMHOPCTYXIJSabeiknoptuxwABEZHIKMNOPTYXagiy!------ol",
)
"""Letters of other scripts (and dashes) by the ASCII ones they look like: those worth imitating, not all there are."""

_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX: Final = re.compile(r"(?<![0-9A-Za-z])(?:0x)?(?:[0-9a-fA-F]{2}[ :]?){8,}")
_PERCENT: Final = re.compile(r"(?:[\w.,!'+-]{0,48}%[0-9A-Fa-f]{2}){3,}[\w.,!'+-]{0,48}")
_ESCAPES: Final = re.compile(r"(?:\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}){4,}")
_ENTITIES: Final = re.compile(r"(?:&#x?[0-9a-fA-F]{1,6};\s?){4,}")
_SPACED: Final = re.compile(r"(?:\b\w[ ._\-*]{1,3}){5,}\w\b")
_TAGS: Final = (0xE0020, 0xE007E)
"""The invisible copy of ASCII in Unicode: some models read it."""


class View(NamedTuple):
    """A text read in one way. `origin` is where each character comes from; `span` all of it, when it was decoded."""

    how: str
    text: str
    origin: Sequence[int] = ()
    span: tuple[int, int] = (0, 0)

    def place(self, start: int, end: int) -> tuple[int, int]:
        """A span of this view in the original."""
        if not self.origin or start >= len(self.origin):
            return self.span
        return self.origin[start], self.origin[min(end, len(self.origin)) - 1] + 1


def hidden(character: str) -> bool:
    """Whether nobody sees it: zero-width, direction marks, tags, variation selectors."""
    point = ord(character)
    return (
        unicodedata.category(character) == "Cf"
        or 0xE0000 <= point <= 0xE01EF
        or 0xFE00 <= point <= 0xFE0E
        or character in "\u115f\u1160\u3164\uffa0\u034f"
    )


def folded(text: str) -> View:
    """In lower case, compatibility forms as plain ones, without marks and what nobody sees, look-alikes replaced."""
    if text.isascii():
        return View("folded", text.lower(), range(len(text)))
    letters: list[str] = []
    origin: list[int] = []
    at = 0
    for match in _BEYOND_ASCII.finditer(text):
        place, character = match.start(), match.group()
        letters.append(text[at:place])
        origin += range(at, place)
        at = place + 1
        for letter in _letters(character):
            letters.append(letter)
            origin.append(place)
    letters.append(text[at:])
    origin += range(at, len(text))
    return View("folded", "".join(letters).translate(_LOWER), origin)


_LOWER: Final = {point: point + 32 for point in range(65, 91)}
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")


@lru_cache(maxsize=8192)
def _letters(character: str) -> str:
    """What a character beyond ASCII is read as."""
    point = ord(character)
    if _TAGS[0] <= point <= _TAGS[1]:
        return chr(point - 0xE0000).lower()
    if hidden(character):
        return ""
    plain = unicodedata.normalize("NFKD", character).translate(_LOOKALIKES)
    kept = "".join(part for part in plain if unicodedata.category(part) != "Mn")
    return "".join(low if len(low := part.lower()) == 1 else part for part in kept)


def views(text: str) -> Iterator[View]:
    """All ways to read a text, the folded one first."""
    plain = folded(text)
    yield plain
    if len(text) > LONGEST:
        return
    yield View("rot13", codecs.encode(plain.text, "rot13"), plain.origin)
    yield from _unspaced(plain)
    yield from _decoded(text, (0, len(text)), 0)


def decoded(text: str) -> Iterator[View]:
    """What is encoded in a text, decoded; not folded."""
    if len(text) <= LONGEST:
        yield from _decoded(text, (0, len(text)), 0, fold=False)


def _unspaced(view: View) -> Iterator[View]:
    """`i g n o r e` as a word: letters with something between each two; gaps of two are ends of words."""
    for match in _SPACED.finditer(view.text):
        words = re.split(r"\s{2,}", match.group())
        joined = " ".join(re.sub(r"[ ._\-*]", "", word) for word in words)
        yield View("spaced", joined, (), view.place(match.start(), match.end()))


def _decoded(text: str, whole: tuple[int, int], depth: int, *, fold: bool = True) -> Iterator[View]:
    for how, pattern, decode in _ENCODINGS:
        for match in pattern.finditer(text):
            clear = decode(match.group())
            if clear is None or clear == match.group():
                continue
            span = (match.start(), match.end()) if depth == 0 else whole
            yield View(how, folded(clear).text if fold else clear, (), span)
            if depth + 1 < DEEPEST:
                yield from _decoded(clear, span, depth + 1, fold=fold)


def _readable(data: bytes) -> str | None:
    """A text of mostly printable characters, or None: most of what looks encoded is not."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    good = sum(c.isprintable() or c in "\n\t\r" for c in text)
    return text if text and good >= 0.95 * len(text) else None


def _base64(text: str) -> str | None:
    body = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _readable(base64.b64decode(body + "=" * (-len(body) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None


def _hex(text: str) -> str | None:
    try:
        return _readable(bytes.fromhex(text.removeprefix("0x").replace(":", "")))
    except ValueError:
        return None


def _percent(text: str) -> str | None:
    return unquote(text)


def _escapes(text: str) -> str | None:
    points = (int(part, 16) for part in re.findall(r"\\[ux]([0-9a-fA-F]+)", text))
    return "".join(chr(p) for p in points if not 0xD800 <= p < 0xE000)


def _entities(text: str) -> str | None:
    return html.unescape(text.replace(" ", ""))


_ENCODINGS: Final = (
    ("base64", _BASE64, _base64),
    ("hex", _HEX, _hex),
    ("percent", _PERCENT, _percent),
    ("escapes", _ESCAPES, _escapes),
    ("entities", _ENTITIES, _entities),
)
