"""How archived events are packed: a block holds those of 256 positions, column by column, compressed.

Column by column the same bytes lie closer together. A block is small, because one event costs as much as its block.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from events.errors import Corrupt

SIZE: Final = 256
"""Positions of a block; block n holds 256 n + 1 … 256 n + 256. Stored blocks depend on it: it never changes."""
CHUNK: Final = 1000
"""Versions of a stream in one row of places; it never changes either."""
FORMAT: Final = 1
"""MessagePack of a list of columns, zlib."""

POSITION, TENANT, STREAM, VERSION, TYPE, DATA, BLOB = 0, 1, 2, 3, 5, 7, 15
"""Where a row has these: it is the columns of `events.envelope.Event`, then the SHA-256 of a body kept elsewhere."""
WIDTH: Final = 16

Row = tuple[Any, ...]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[list[Any]]).decode
_place = struct.Struct("<HQ")


def block_of(position: int) -> int:
    """The block a position belongs to."""
    return (position - 1) // SIZE


def pack(rows: Sequence[Row]) -> bytes:
    """The body of a block."""
    return zlib.compress(_encode(list(zip(*rows, strict=True))), 6)


def unpack(block: int, format: int, body: bytes) -> list[Row]:
    """The rows of a block, by position. Raises Corrupt."""
    try:
        if format != FORMAT:
            raise ValueError(f"format {format} is not known")
        columns = _decode(zlib.decompress(body))
        if len(columns) != WIDTH:
            raise ValueError(f"{len(columns)} columns")
        return list(zip(*columns, strict=True))
    except (ValueError, zlib.error, msgspec.MsgspecError) as error:
        raise Corrupt(
            f"block {block} of the archive cannot be read: {error}", hint="restore thespis.archive from a backup"
        ) from error


def places(rows: Iterable[Row]) -> dict[tuple[str, str, int], bytes]:
    """Where the versions are, by (tenant, stream, chunk): ten bytes each."""
    found: dict[tuple[str, str, int], bytearray] = {}
    for row in rows:
        chunk, number = divmod(row[VERSION], CHUNK)
        found.setdefault((row[TENANT], row[STREAM], chunk), bytearray()).extend(_place.pack(number, row[POSITION]))
    return {key: bytes(found[key]) for key in sorted(found)}


def placed(chunk: int, packed: bytes) -> Iterator[tuple[int, int]]:
    """(version, position) of each archived event of a chunk, in no order."""
    for number, position in _place.iter_unpack(packed):
        yield chunk * CHUNK + number, position
