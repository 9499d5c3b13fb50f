"""Attributes as header values of the HTTP and NATS bindings."""

from __future__ import annotations

import re
from collections.abc import Mapping

from events.errors import InvalidData

_HEADER_UNSAFE = re.compile(r'[^!#$&-~]|["%]')
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


def headers(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes as `ce-` headers of the HTTP and NATS bindings, values percent-encoded."""
    return {f"ce-{name}": percent_encode(value) for name, value in attributes.items()}


def percent_encode(value: str) -> str:
    """Encode what a header value may not hold (bindings, section 3.1.3.2)."""
    if not _HEADER_UNSAFE.search(value):
        return value
    return _HEADER_UNSAFE.sub(lambda m: "".join(f"%{b:02X}" for b in m.group().encode()), value)


def percent_decode(value: str) -> str:
    """Decode a header value: double-quoted strings, then one round of percent-decoding. Raises InvalidData."""
    if len(value) > 1 and value[0] == '"' == value[-1]:
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    if "%" not in value:
        return value
    try:
        return _PERCENT.sub(lambda m: bytes((int(m.group(1), 16),)), value.encode()).decode()
    except UnicodeDecodeError:
        raise InvalidData(f"a header value is not UTF-8 after percent-decoding: {value[:80]!r}") from None
