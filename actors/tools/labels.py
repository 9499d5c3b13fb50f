"""Information-flow labels: `trusted|untrusted` / `public|private|secret`, and where the value of an argument is from.

Labels travel from sources to prompts and from there to arguments; policies on them are what is enforced. A join is the
worst of both. What a model writes has the label of all it read, unless somebody trusted wrote that very value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

import msgspec

from events.errors import InvalidData

TRUST: Final = ("trusted", "untrusted")
SECRECY: Final = ("public", "private", "secret")

BEST: Final = "trusted/public"
WORST: Final = "untrusted/secret"
"""What is assumed of a value nobody says anything about."""

SHORTEST: Final = 3
"""Characters below which a value says too little of where it comes from, unless it is the whole text."""

_OPENS: Final = frozenset("\"'`([{<“‘«„,;:=|>")
_CLOSES: Final = frozenset("\"'`)]}>”’»“,;|<")
_ENDS: Final = frozenset(".!?:…")
"""What ends a token only when nothing of the token follows: `ada@example.com.` but not `example.com.evil.org`."""


class Label(msgspec.Struct, frozen=True):
    """A label in its parts."""

    trusted: bool
    secrecy: str

    def __str__(self) -> str:
        return f"{TRUST[not self.trusted]}/{self.secrecy}"


def parse(text: str) -> Label:
    """A label from its text. Raises InvalidData."""
    trust, slash, secrecy = text.partition("/")
    if not slash or trust not in TRUST or secrecy not in SECRECY:
        raise InvalidData(f"{text!r} is not a label", hint="trusted or untrusted / public, private or secret")
    return Label(trust == "trusted", secrecy)


def join(*labels: str) -> str:
    """The worst of all: untrusted if any is, as secret as the most secret. Of none: trusted/public."""
    parsed = [parse(label) for label in labels]
    trusted = all(label.trusted for label in parsed)
    rank = max((SECRECY.index(label.secrecy) for label in parsed), default=0)
    return str(Label(trusted, SECRECY[rank]))


def is_trusted(label: str) -> bool:
    """Whether somebody trusted said it."""
    return parse(label).trusted


def at_least(label: str, secrecy: str) -> bool:
    """Whether it is that secret, or more so."""
    return SECRECY.index(parse(label).secrecy) >= SECRECY.index(secrecy)


def with_secrecy(label: str, other: str) -> str:
    """The label, at least as secret as the other."""
    return join(label, f"trusted/{parse(other).secrecy}")


def argument_labels(
    arguments: Mapping[str, Any], roles: Mapping[str, str], trusted_texts: Iterable[str], context_label: str
) -> dict[str, str]:
    """The label of each argument of a call that a model wrote.

    An argument is trusted if its whole value (each text, number and key in it) stands verbatim in one of the trusted
    texts, as a token or phrase of its own; else it has the label of the context. A destination may have `https://` in
    front, or `/` behind, that nobody wrote. A trusted value is as secret as the context, but not more than private:
    whoever trusted wrote it there knows it.
    """
    texts = [unicodedata.normalize("NFC", text) for text in trusted_texts]
    context = parse(context_label)
    secrecy = "private" if context.secrecy == "secret" else context.secrecy
    verbatim = str(Label(True, secrecy))
    found: dict[str, str] = {}
    for name, value in arguments.items():
        destination = roles.get(name) == "destination"
        parts = list(_parts(value))
        stands = bool(parts) and all(part is not None and _stands(part, texts, destination) for part in parts)
        found[name] = verbatim if stands else context_label
    return found


def _parts(value: Any) -> Iterator[str | None]:
    """Every text, number and key of a value; None for what cannot be found in a text, as true, null or nothing."""
    match value:
        case str():
            yield value
        case bool() | None:
            yield None
        case int() | float():
            yield msgspec.json.encode(value).decode()
        case dict():
            for key, inner in cast("dict[str, Any]", value).items():
                yield key
                yield from _parts(inner)
        case list():
            for inner in cast("list[Any]", value):
                yield from _parts(inner)
        case _:
            yield None


def _stands(value: str, texts: list[str], destination: bool) -> bool:
    value = unicodedata.normalize("NFC", value)
    if any(unicodedata.category(c) in ("Cf", "Cc", "Co", "Cn") and c not in "\n\t" for c in value):
        return False  # what nobody sees, nobody meant
    forms = [value]
    if destination and value.startswith("https://"):
        forms += [value.removeprefix("https://"), value.removesuffix("/"), value[len("https://") :].removesuffix("/")]
    return any(verbatim_in(form, text) for form in dict.fromkeys(forms) for text in texts)


def verbatim_in(value: str, text: str) -> bool:
    """Whether a value stands in a text as a token or phrase of its own, never as a part of a longer one."""
    if value and value == text.strip():
        return True
    if len(value) < SHORTEST or value != value.strip():
        return False
    return any(
        _opens(text, match.start()) and _closes(text, match.end()) for match in re.finditer(re.escape(value), text)
    )


def _opens(text: str, start: int) -> bool:
    if start == 0:
        return True
    before = text[start - 1]
    return before.isspace() or before in _OPENS


def _closes(text: str, end: int) -> bool:
    while end < len(text) and text[end] in _ENDS:
        end += 1
        if end == len(text) or text[end].isspace() or text[end] in _CLOSES:
            return True
        if text[end] not in _ENDS:
            return False
    return end == len(text) or text[end].isspace() or text[end] in _CLOSES
