"""Durations in seconds: `500ms`, `30s`, `5m`, `1h`, `7d`, `1h30m`, ISO 8601 (`PT5M`), or a number."""

from __future__ import annotations

import re
from typing import Any

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SHORT = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_ISO = re.compile(
    r"P(?:(?P<w>\d+(?:\.\d+)?)W)?(?:(?P<d>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<h>\d+(?:\.\d+)?)H)?(?:(?P<m>\d+(?:\.\d+)?)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)


def seconds(value: Any) -> float:
    """The duration in seconds. Raises ValueError, saying how durations are written."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is no duration")
    if isinstance(value, int | float):
        if value < 0:
            raise ValueError("a duration is not negative")
        return float(value)
    text = str(value).strip()
    if _SHORT.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    iso = _ISO.fullmatch(text)
    if iso is not None and any(iso.groups()):
        return sum(float(number) * _UNITS[unit] for unit, number in iso.groupdict().items() if number)
    raise ValueError(f"{text!r} is no duration; write 500ms, 30s, 5m, 1h, 7d, PT5M or a number of seconds")
