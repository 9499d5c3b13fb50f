"""Server-sent events, as far as models use them: the data of each event, strictly UTF-8."""

from __future__ import annotations

import re
from typing import Final

from infra.models.faults import nonsense

MOST: Final = 16 * 1024 * 1024
"""Bytes that one event may have."""

_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class Events:
    """Bytes in, data of whole events out."""

    def __init__(self) -> None:
        self._rest = b""
        self._seen = 0

    def feed(self, data: bytes) -> list[str]:
        """The data of the events that are complete now. Raises ModelError."""
        self._rest += data
        found: list[str] = []
        at = 0
        while (end := _END.search(self._rest, max(at, self._seen))) is not None:
            found += _data(self._rest[at : end.start()])
            at = end.end()
            self._seen = 0
        self._rest = self._rest[at:]
        self._seen = max(0, len(self._rest) - 3)
        if len(self._rest) > MOST:
            raise nonsense(f"a piece of the stream is larger than {MOST} bytes")
        return found

    def end(self) -> list[str]:
        """The data of an event that nothing follows any more."""
        rest, self._rest = self._rest, b""
        return _data(rest)


def _data(block: bytes) -> list[str]:
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError as error:
        raise nonsense(f"the stream is not UTF-8: {error.reason}") from None
    lines = [line[5:].removeprefix(" ") for line in re.split("\r\n|\n|\r", text) if line.startswith("data:")]
    return ["\n".join(lines)] if lines else []
