"""Import: many events by COPY, in the transaction that holds the lock of the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, Final

from events.errors import Invalid
from events.store import Append
from infra.postgres.connection import Connection
from infra.postgres.encoding import BLOB

_BEGIN: Final = "select before, recorded_at, statuses from thespis.begin_bulk($1, $2)"
_BLOBS: Final = "insert into thespis.blobs select * from unnest($1::bytea[], $2::bytea[]) on conflict do nothing"
_COLUMNS: Final = (
    "position", "tenant", "stream", "version", "id", "type", "schema", "data", "causation", "correlation", "epoch",
    "recorded_at", "trace", "meta", "hash", "blob",
)  # fmt: skip


async def copy(connection: Connection, appends: Sequence[Append]) -> tuple[int, int, Sequence[int] | None, None]:
    """Write appends of distinct streams that have only events. Returns a row like that of `thespis.append`."""
    fences: dict[tuple[int, int], int] = {}
    heads: list[tuple[Any, ...]] = []
    for a in appends:
        if a.handled or a.mail or a.taken or a.effects or a.changes or a.timers or a.fired or a.cancelled or a.fork_of:
            raise Invalid(f"a bulk append has only events, that of {a.stream} has more", hint="use append")
        fence = None if a.epoch is None else fences.setdefault((a.partition, a.epoch), len(fences) + 1)
        heads.append((a.tenant, a.stream, a.expected, a.expected, fence, 0))
    row: Any = await connection.fetchrow(_BEGIN, heads, list(fences) or None)
    before, recorded_at, statuses = row
    if statuses is None or not any(statuses):
        statuses, written = None, appends
    else:
        written = [a for a, status in zip(appends, statuses, strict=True) if status == 0]
    blobs: dict[bytes, bytes] = {}
    await connection.copy_records_to_table(
        "events", schema_name="thespis", columns=_COLUMNS, records=_records(written, before, recorded_at, blobs)
    )
    if blobs:
        await connection.execute(_BLOBS, list(blobs), list(blobs.values()))
    return before, recorded_at, statuses, None


def _records(
    appends: Sequence[Append], position: int, recorded_at: int, blobs: dict[bytes, bytes]
) -> Iterator[tuple[Any, ...]]:
    for a in appends:
        version, epoch, tenant, stream = a.expected, a.epoch or 0, a.tenant, a.stream
        for e in a.events:
            version += 1
            position += 1
            data, blob = e.data, None
            if len(data) > BLOB:
                blob = sha256(data).digest()
                blobs[blob] = data
                data = None
            yield (
                position, tenant, stream, version, e.id, e.type, e.schema, data, e.causation, e.correlation, epoch,
                min(e.recorded_at or recorded_at, recorded_at), e.trace, e.meta, e.hash, blob,
            )  # fmt: skip
