"""The log as NDJSON of full envelopes: a line per event in order of position, and a last line that says it is whole.

Bytes survive: `data` and `meta` are embedded as they are stored (in `data_base64`, `meta_base64` when they cannot be),
so the hash chain can be checked from the file alone.
"""

from __future__ import annotations

import os
import sys
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from typing import BinaryIO, Final

import msgspec

from events.envelope import Event
from events.errors import Conflict, InvalidData
from events.store import EventStore

PAGE: Final = 2000


class Record(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One line. `hash` is in hexadecimal; times are microseconds since 1970."""

    position: int
    tenant: str
    stream: str
    version: int
    id: str
    type: str
    schema: int
    causation: str
    correlation: str
    epoch: int
    recorded_at: int
    hash: str
    data: msgspec.Raw = msgspec.Raw()
    data_base64: str | None = None
    trace: str | None = None
    meta: msgspec.Raw = msgspec.Raw()
    meta_base64: str | None = None


class End(msgspec.Struct, forbid_unknown_fields=True):
    """The last line of a whole export: how many events there are before it, up to which position."""

    end: int
    events: int


_encode = msgspec.json.Encoder().encode
_record = msgspec.json.Decoder(Record).decode
_end = msgspec.json.Decoder(End).decode
_raw = msgspec.json.Decoder(msgspec.Raw).decode


def _embeds(content: bytes) -> bool:
    """Whether JSON bytes come back as they are when they are embedded in a line."""
    if b"\n" in content or b"\r" in content:
        return False
    try:
        content.decode()
        return bytes(_raw(content)) == content
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def to_line(event: Event) -> bytes:
    """An event as a line, with its newline."""
    record = Record(
        event.position, event.tenant, event.stream, event.version, event.id, event.type, event.schema,
        event.causation, event.correlation, event.epoch, event.recorded_at, event.hash.hex(), trace=event.trace,
    )  # fmt: skip
    if _embeds(event.data):
        record.data = msgspec.Raw(event.data)
    else:
        record.data_base64 = b64encode(event.data).decode()
    if event.meta is not None:
        if _embeds(event.meta):
            record.meta = msgspec.Raw(event.meta)
        else:
            record.meta_base64 = b64encode(event.meta).decode()
    return _encode(record) + b"\n"


def end_line(position: int, events: int) -> bytes:
    """The last line, with its newline."""
    return _encode(End(position, events)) + b"\n"


def from_line(line: bytes) -> Event | End:
    """What a line holds. Raises InvalidData."""
    try:
        line.decode()
        if line.startswith(b'{"end":'):
            return _end(line)
        r = _record(line)
        data = b64decode(r.data_base64, validate=True) if r.data_base64 is not None else bytes(r.data)
        meta = b64decode(r.meta_base64, validate=True) if r.meta_base64 is not None else bytes(r.meta) or None
        if not data and r.data_base64 is None:
            raise InvalidData("the event has neither data nor data_base64")
        return Event(
            r.position, r.tenant, r.stream, r.version, r.id, r.type, r.schema, data, r.causation, r.correlation,
            r.epoch, r.recorded_at, r.trace, meta, bytes.fromhex(r.hash),
        )  # fmt: skip
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise InvalidData(f"not a line of an export: {error}") from None


async def export(store: EventStore, after: int = 0) -> AsyncIterator[list[Event]]:
    """The events with a position greater than `after`, up to the head there is at the start, a page at a time."""
    head = await store.head()
    while after < head:
        events = await store.read(after, min(PAGE, head - after))
        if not events:
            return
        after = events[-1].position
        yield events


async def to_output(store: EventStore, advance: Callable[[int], None]) -> int:
    """Export to standard output; returns the last position. Raises BrokenPipeError."""
    out = sys.stdout.buffer
    position = 0
    async for events in export(store):
        out.write(b"".join(map(to_line, events)))
        position = events[-1].position
        advance(len(events))
    out.write(end_line(position, position))
    out.flush()
    return position


async def to_file(store: EventStore, file: BinaryIO, advance: Callable[[int], None]) -> int:
    """Export to a file that is open for reading and writing, going on after what it holds already.

    Returns the last position. Raises Conflict when the file holds something else than the beginning of this log; it is
    then left as it is.
    """
    after, size = await _begun(store, file)
    file.seek(size)
    file.truncate()
    advance(after)
    position = after
    async for events in export(store, after):
        file.write(b"".join(map(to_line, events)))
        file.flush()
        position = events[-1].position
        advance(len(events))
    file.write(end_line(position, position))
    file.flush()
    os.fsync(file.fileno())
    return position


async def _begun(store: EventStore, file: BinaryIO) -> tuple[int, int]:
    """(position of the last event the file holds whole, bytes up to and with it)."""
    size, last = 0, b""
    for line in file:
        if not line.endswith(b"\n") or line.startswith(b'{"end":'):
            break
        size += len(line)
        last = line
    rest = os.fstat(file.fileno()).st_size - size
    hint = "name another file, or move this one away"
    if not last:
        if rest:
            raise Conflict(f"{file.name} is there, and it is no export", hint=hint)
        return 0, 0
    try:
        found = from_line(last)
    except InvalidData as error:
        raise Conflict(f"{file.name} is there, and it is no export: {error.message}", hint=hint) from None
    same = isinstance(found, Event) and await store.read(found.position - 1, 1)
    if not isinstance(found, Event) or not same or (same[0].id, same[0].hash) != (found.id, found.hash):
        raise Conflict(f"{file.name} is there, and it is an export of another log", hint=hint)
    return found.position, size
