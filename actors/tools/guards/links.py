"""Family `links`: pictures and links by which something could leave. A picture is fetched without anybody's doing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from actors.tools.guards.leaks import DENSE, entropy
from actors.tools.guards.model import Finding, Guard

LONG: Final = 40
"""Characters of a query or of one part of a path from which it could carry something."""

_TARGET: Final = r"<?\s{0,9}+([^\s)>\"']{1,4000}+)"
_PATTERNS: Final = (
    ("image", re.compile(rf"!\[[^\]\n]{{0,500}}+\]\(\s*{_TARGET}[^)\n]{{0,500}}+\)")),
    ("image", re.compile(
        r"(?i)<(?:img|iframe|video|audio|source|embed|object|script|link|image)\b[^>]{0,500}?(?:src|href|srcset"
        r"|data)\s*=\s*[\"']?([^\s\"'>]{1,4000})[^>]{0,500}>")),
    ("image", re.compile(r"(?i)url\(\s*[\"']?((?:https?:)?//[^\s\"')]{1,4000})[\"']?\s*\)")),
    ("link", re.compile(rf"(?<!!)\[[^\]\n]{{0,500}}+\]\(\s*{_TARGET}[^)\n]{{0,500}}+\)")),
    ("link", re.compile(r"(?i)<a\b[^>]{0,500}?href\s*=\s*[\"']?([^\s\"'>]{1,4000})[^>]{0,500}>")),
    ("reference", re.compile(r"(?m)^[ \t]{0,3}\[[^\]\n]{1,200}\]:\s{1,10}<?([^\s>]{1,4000})>?[^\n]{0,300}$")),
    ("link", re.compile(r"(?i)(?<![\w(/\"'=<])<?((?:https?|ftp|wss?)://[^\s<>\"')\]]{1,4000})>?")),
)  # fmt: skip
"""Markdown, HTML, CSS, references, and bare addresses, in this order."""


def find_links(text: str, guard: Guard) -> Iterator[Finding]:
    """Pictures from hosts that are not allowed, and links whose address carries data, or lead to nothing plain."""
    taken = bytearray(len(text))
    for what, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            if taken.find(1, match.start(), match.end()) >= 0:
                continue  # within a picture or a link that was found already
            taken[match.start() : match.end()] = b"\1" * (match.end() - match.start())
            why = suspicion(match.group(1), guard.hosts, fetched=what != "link")
            if why:
                yield Finding(f"links.{what}", match.span(), 0.9 if what != "link" else 0.7, why)


def suspicion(url: str, hosts: Sequence[str], *, fetched: bool) -> str:
    """What is wrong with an address; "" when nothing is. `fetched`: it is followed without anybody's doing."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return "no address"
    if parts.scheme.lower() in ("javascript", "vbscript", "data", "file"):
        return f"the scheme {parts.scheme}"
    if not host:
        return ""  # within the page
    if any(host == known.lower() or host.endswith(f".{known.lower()}") for known in hosts):
        return ""
    if fetched:
        return f"fetched from {host}, which is not on the list"
    if parts.username or parts.password:
        return "a name or a password in the address"
    if carries(parts.query) or carries(parts.fragment) or any(map(carries, parts.path.split("/"))):
        return f"the address carries data to {host}"
    return f"data in the name {host}" if any(carries(label) for label in host.split(".")) else ""


def carries(part: str) -> bool:
    """Whether a part of an address could carry something: it is long, or too dense for words."""
    if len(part) >= LONG and not re.fullmatch(r"[a-z0-9]+(?:[-_][a-z0-9]+){3,}(?:\.[a-z]{2,5})?", part):
        return True
    return len(part) >= 20 and entropy(part) >= DENSE - 0.4 and any(c.isdigit() for c in part)
