"""Appends as the arguments of `thespis.append`: one array of rows per family, see `migrations/0001_log.sql`."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from events.errors import InvalidData
from events.store import Append, EffectChange, NewEffect

APPEND: Final = "select * from thespis.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
BLOB: Final = 64 * 1024
"""Bodies above this many bytes go to the table of blobs."""

Row = tuple[Any, ...]


def encode(batch: Sequence[Append]) -> tuple[Any, ...]:
    """The arguments of `APPEND` for a batch without collisions (see `independent`). Raises InvalidData."""
    appends: list[Row] = []
    events: list[Row] = []
    messages: list[Row] = []
    fences: dict[tuple[int, int], int] = {}
    rare: tuple[list[Row], ...] = ([], [], [], [], [], [], [], [])
    blobs = rare[7]
    for n, a in enumerate(batch, 1):
        epoch = a.epoch
        if epoch is None:
            fence, epoch = None, 0
        else:
            fence = fences.setdefault((a.partition, epoch), len(fences) + 1)
        version = a.expected
        head = version
        if a.fork_of is not None:
            source, reached = a.fork_of
            head = 0 if reached == version and source != a.stream else -1  # -1: never written
        appends.append((a.tenant, a.stream, version, head, fence, len(events)))
        for e in a.events:
            version += 1
            data, blob = e.data, None
            if len(data) > BLOB:
                data, blob = _put(blobs, n, data)
            events.append((
                n, version, e.id, e.type, e.schema, data, e.causation, e.correlation, epoch, e.trace, e.meta, e.hash,
                blob,
            ))  # fmt: skip
        for m in a.handled:
            data, blob = m.data, None
            if len(data) > BLOB:
                data, blob = _put(blobs, n, data)
            upto = len(a.events) if m.upto is None else m.upto
            messages.append((
                n, upto, m.id, m.digest, m.type, m.schema, data, blob, m.sender, m.time, m.causation, m.correlation,
                m.outcome, m.answer, m.guarded, m.told,
            ))  # fmt: skip
        if a.mail or a.taken or a.effects or a.changes or a.timers or a.fired or a.cancelled or a.fork_of:
            _encode_rare(n, a, rare)
    return (appends, events or None, messages or None, list(fences) or None, *(r or None for r in rare))


def _encode_rare(n: int, a: Append, rare: tuple[list[Row], ...]) -> None:
    mails, taken, effects, changes, timers, dropped, forks, blobs = rare
    if a.mail:
        if not a.events or len({m.ordinal for m in a.mail}) < len(a.mail):
            where = f"append {n - 1} of the batch ({a.tenant} {a.stream})"
            raise InvalidData(f"{where} sends mail without an event, or two tells under one ordinal")
        for m in a.mail:
            data, blob = m.data, None
            if len(data) > BLOB:
                data, blob = _put(blobs, n, data)
            mails.append((
                n, m.partition, m.ordinal, m.tenant, m.stream, m.id, m.type, m.schema, data, blob, m.sender, m.time,
                m.causation, m.correlation, m.trace, m.meta,
            ))  # fmt: skip
    for key in a.taken:
        taken.append((n, key.partition, key.position, key.ordinal))
    if a.effects or a.changes:
        last = last_changes(a.changes)
        for e in a.effects:
            change = last.pop(e.id, None)
            effects.append((
                n, a.partition, e.id, e.kind, e.effect_class, e.key, e.data, e.time, e.causation, e.correlation,
                e.trace, *first_status(e, change),
            ))  # fmt: skip
        for c in last.values():
            changes.append((n, c.id, c.status, c.attempt, c.outcome, c.delivered))
    for t in {t.name: t for t in a.timers}.values():
        timers.append((n, a.partition, t.name, t.id, t.due, t.type, t.schema, t.data, t.causation, t.correlation))
    for name, id in a.fired:
        dropped.append((n, name, id))
    for name in a.cancelled:
        dropped.append((n, name, None))
    if a.fork_of is not None:
        forks.append((n, *a.fork_of))


def _put(blobs: list[Row], n: int, data: bytes) -> tuple[None, bytes]:
    digest = sha256(data).digest()
    blobs.append((n, digest, data))
    return None, digest


def last_changes(changes: Sequence[EffectChange]) -> dict[str, EffectChange]:
    """Several changes to one effect in one append come down to the last."""
    return {c.id: c for c in changes}


def first_status(effect: NewEffect, change: EffectChange | None) -> tuple[str, str, bytes | None, bool]:
    """Status, attempt, outcome, delivered of a new row: `requested`, or what the same append already made of it."""
    if change is None:
        return ("requested", "", None, False)
    return (change.status, change.attempt, change.outcome, change.delivered)


def refusal(batch: Sequence[Append]) -> InvalidData | None:
    """Which append of a batch holds what Postgres cannot store: U+0000, a lone surrogate, an id that is no UUID."""
    for n, append in enumerate(batch):
        where = f"append {n} of the batch ({append.tenant} {append.stream})"
        families: tuple[list[Row] | None, ...] = encode([append])
        for value in (value for rows in families for row in rows or () for value in row):
            if isinstance(value, str) and not _storable(value):
                return InvalidData(f"{where}: {value[:80]!r} is not storable text")
        for message in (*append.handled, *append.mail):
            if not _is_uuid(message.id):
                return InvalidData(f"{where}: message id {message.id[:80]!r} is no UUID")
    return None


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _storable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
