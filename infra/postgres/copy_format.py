"""Events as rows of COPY's binary format, made before their positions are known.

The driver's own encoder asks a codec for every value, under the lock of the log. Here a row is one join of bytes, most
of them shared by all events of an append, and what is not known yet stands at its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import repeat
from struct import Struct
from typing import Final

from events.store import Append
from infra.postgres.encoding import BLOB

COLUMNS: Final = (
    "epoch", "tenant", "stream", "version", "id", "type", "schema", "data", "causation", "correlation", "trace", "meta",
    "hash", "blob", "recorded_at", "position",
)  # fmt: skip

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
PIECE: Final = 1000
"""Rows sent at once: the server reads a piece while the next is made."""

_NULL: Final = b"\xff\xff\xff\xff"
_length: Final = Struct("!i").pack
_first: Final = Struct("!hiqi").pack
_version: Final = Struct("!iii").pack
_schema: Final = Struct("!ii").pack
_last: Final = Struct("!iqiq").pack


class Rows:
    """The rows of one append without their last two values, and the times that its events bring along, if any."""

    __slots__ = ("blobs", "rows", "times")

    def __init__(self, append: Append) -> None:
        """Encode. Raises UnicodeEncodeError and struct.error for what is no text, or no number, of Postgres's."""
        self.blobs: dict[bytes, bytes] = {}
        tenant, stream = append.tenant.encode(), append.stream.encode()
        start = b"".join(
            (_first(len(COLUMNS), 8, append.epoch or 0, len(tenant)), tenant, _length(len(stream)), stream)
        )
        types: dict[tuple[str, int], bytes] = {}
        known: dict[str, bytes] = {}
        rows: list[bytes] = []
        version = append.expected
        for e in append.events:
            version += 1
            type = types.get((e.type, e.schema))
            if type is None:
                type = types[e.type, e.schema] = _text(e.type) + _schema(4, e.schema)
            causation = known.get(e.causation)
            if causation is None:
                causation = known[e.causation] = _text(e.causation)
            correlation = known.get(e.correlation)
            if correlation is None:
                correlation = known[e.correlation] = _text(e.correlation)
            data, id = e.data, e.id.encode()
            size, blob = _length(len(data)), _NULL
            if len(data) > BLOB:
                digest = sha256(data).digest()
                self.blobs[digest] = data
                size, data, blob = _NULL, b"", _bytes(digest)
            rows.append(
                b"".join(
                    (
                        start, _version(4, version, len(id)), id, type, size, data, causation, correlation,
                        _NULL if e.trace is None else _text(e.trace), _NULL if e.meta is None else _bytes(e.meta),
                        _length(len(e.hash)), e.hash, blob,
                    )
                )
            )  # fmt: skip
        self.rows = rows
        brought = [e.recorded_at for e in append.events]
        self.times = brought if any(brought) else None


def pieces(appends: Sequence[Rows], before: int, recorded_at: int) -> Iterator[bytes]:
    """The whole COPY of these appends, whose first event comes after the position `before`."""
    piece = [HEADER]
    for append in appends:
        count = len(append.rows)
        times = append.times
        if times is None:
            last = [*map(_last, repeat(8), repeat(recorded_at), repeat(8), range(before + 1, before + count + 1))]
        else:
            last = [_last(8, min(t or recorded_at, recorded_at), 8, before + n) for n, t in enumerate(times, 1)]
        rows = [b""] * (2 * count)
        rows[::2] = append.rows
        rows[1::2] = last
        piece += rows
        before += count
        if len(piece) >= 2 * PIECE:
            yield b"".join(piece)
            piece = []
    piece.append(TRAILER)
    yield b"".join(piece)


def _text(value: str) -> bytes:
    return _bytes(value.encode())


def _bytes(value: bytes) -> bytes:
    return _length(len(value)) + value
