"""What the client accepts (RFC 9110, section 12.5.1) and what it prefers (RFC 7240)."""

from __future__ import annotations

import re

from events.errors import InvalidData
from gateway.problems import NotAcceptable

_SECONDS = re.compile(r"\d{1,6}(\.\d{1,6})?")


def check_accept(header: str | None, produced: str) -> None:
    """Raise NotAcceptable when `produced` (a media type) is not among what the Accept header allows."""
    if not header or not header.strip():
        return
    best = (-1, 0.0)
    for item in header.split(","):
        media, _, rest = item.partition(";")
        media = media.strip().lower()
        match = _specificity(media, produced)
        if match > best[0] or (match == best[0] and match >= 0):
            best = (match, max(_quality(rest), best[1] if match == best[0] else 0.0))
    if best[1] <= 0:
        raise NotAcceptable(f"only {produced} is produced here", hint=f"send Accept: {produced}, or none")


def _specificity(media: str, produced: str) -> int:
    if media == "*/*":
        return 0
    if media == produced.partition("/")[0] + "/*":
        return 1
    return 2 if media == produced else -1


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def wait_preference(header: str | None) -> float | None:
    """The seconds of `Prefer: wait=SECONDS`, or None. Other preferences are left alone. Raises InvalidData."""
    for item in (header or "").replace(";", ",").split(","):
        name, equals, value = item.partition("=")
        if name.strip().lower() == "wait":
            text = value.strip().strip('"')
            if not equals or not _SECONDS.fullmatch(text):
                raise InvalidData(f"Prefer: wait={text[:40]} is not a number of seconds", hint="e.g. Prefer: wait=10")
            return float(text)
    return None
