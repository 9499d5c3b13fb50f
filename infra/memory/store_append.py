"""Judging and writing appends, one after the other, with the guards of the server function in Postgres."""

from __future__ import annotations

from collections.abc import Sequence

from events.envelope import Event
from events.errors import Invalid, InvalidData
from events.store import EXPIRED, Append, Appended, Effect, EffectChange, Status, Timer, Verdict, may_start
from infra.memory.store_tables import Row, StreamKey, Tables

_WRITTEN = Status.WRITTEN


def append(tables: Tables, batch: Sequence[Append], now: int, imported: bool = False) -> Appended:
    """Write a batch; imported events keep their times. Raises InvalidData, nothing written, for mail of no event."""
    for n, a in enumerate(batch):
        if a.mail and (not a.events or len({m.ordinal for m in a.mail}) < len(a.mail)):
            where = f"append {n} of the batch ({a.tenant} {a.stream})"
            raise InvalidData(f"{where} sends mail without an event, or two tells under one ordinal")
    before = len(tables.log)
    recorded_at = tables.recorded_at = max(now, tables.recorded_at)
    verdicts: list[Verdict] = []
    seen: set[StreamKey] = set()
    headless: list[int] = []
    for a in batch:
        key = (a.tenant, a.stream)
        failed = _judge(tables, a, key, key in seen)
        seen.add(key)
        if failed is not None:
            headless.append(len(verdicts))
            verdicts.append(failed)
            continue
        position = len(tables.log) + 1
        if not a.events:
            headless.append(len(verdicts))
        verdicts.append(Verdict(_WRITTEN, position))
        _write_events(tables, a, key, position, recorded_at, imported)
        if a.handled:
            rows = tables.messages_of.setdefault(key, [])
            for m in a.handled:
                upto = len(a.events) if m.upto is None else m.upto
                row = Row(m, a.tenant, a.stream, a.expected + upto, position - 1 + upto, recorded_at)
                tables.messages[m.id] = row
                rows.append(row)
        if a.taken:
            tables.take_mail(a.taken)
        if a.mail:
            tables.put_mail(a.mail, position)
        if a.effects or a.changes or a.timers or a.fired or a.cancelled or a.fork_of:
            _write_rare(tables, a, key)
    head = len(tables.log)
    for n in headless:
        v = verdicts[n]
        verdicts[n] = Verdict(v.status, head, v.message, v.first)
    return Appended(verdicts, before, head, recorded_at)


def check_bulk(a: Append) -> None:
    """Raises Invalid for an append that has more than events."""
    if a.handled or a.mail or a.taken or a.effects or a.changes or a.timers or a.fired or a.cancelled or a.fork_of:
        raise Invalid(f"a bulk append has only events, that of {a.stream} has more", hint="use append")


def _judge(tables: Tables, a: Append, key: StreamKey, again: bool) -> Verdict | None:
    """The verdict on an append that cannot be written, or None."""
    if a.epoch is not None and tables.epochs[a.partition] != a.epoch:
        return Verdict(Status.FENCED, 0)
    for m in a.handled:
        row = tables.messages.get(m.id)
        if row is not None:
            same = row.handled.digest == m.digest or row.handled.outcome == EXPIRED
            status = Status.DUPLICATE if same else Status.KEY_REUSED
            return Verdict(status, 0, m.id, row.answer())
    if (a.taken or a.fired or a.changes) and _is_gone(tables, a, key):
        return Verdict(Status.GONE, 0)
    expected = a.expected if a.fork_of is None else 0
    if again or tables.version(key) != expected or _contradicts(tables, a):
        return Verdict(Status.CONFLICT, 0)
    return None


def _is_gone(tables: Tables, a: Append, key: StreamKey) -> bool:
    for k in a.taken:
        if (k.partition, k.position, k.ordinal) not in tables.mailbox:
            return True
    if a.fired:
        timers = tables.timers.get(key, {})
        for name, id in a.fired:
            timer = timers.get(name)
            if timer is None or timer.id != id:
                return True
    if not a.changes:
        return False
    new = {e.id for e in a.effects}
    last = {c.id: c for c in a.changes}
    return any(_is_settled(tables, c, key) for c in last.values() if c.id not in new)


def _is_settled(tables: Tables, change: EffectChange, key: StreamKey) -> bool:
    """An effect of this tenant changes until it is delivered, an unknown one also when the truth comes out; it is
    started only as `may_start` allows."""
    effect = tables.effects.get(change.id)
    if effect is None or effect.tenant != key[0]:
        return True
    if change.status == "started" and not may_start(effect.status, effect.attempt, change.attempt):
        return True
    return effect.delivered and not (effect.status == "unknown" and change.status in ("succeeded", "failed"))


def _contradicts(tables: Tables, a: Append) -> bool:
    """Whether the append names something twice, an effect that exists, or a fork of what is not there."""
    if len(a.handled) > 1 and len({m.id for m in a.handled}) < len(a.handled):
        return True
    if len(a.taken) > 1 and len(set(a.taken)) < len(a.taken):
        return True
    if a.effects:
        ids = {e.id for e in a.effects}
        if len(ids) < len(a.effects) or any(id in tables.effects for id in ids):
            return True
    if a.fork_of is None:
        return False
    source, version = a.fork_of
    return source == a.stream or version != a.expected or tables.version((a.tenant, source)) < version


def _write_events(tables: Tables, a: Append, key: StreamKey, position: int, recorded_at: int, imported: bool) -> None:
    if not a.events:
        return
    own = tables.streams.get(key)
    if own is None:
        own = tables.streams[key] = []
    log = tables.log
    version = a.expected
    tenant, stream = key
    epoch = a.epoch or 0
    at = recorded_at
    for e in a.events:
        version += 1
        if imported:
            at = min(e.recorded_at or recorded_at, recorded_at)
        event = Event(
            position, tenant, stream, version, e.id, e.type, e.schema, e.data, e.causation, e.correlation, epoch,
            at, e.trace, e.meta, e.hash,
        )  # fmt: skip
        position += 1
        log.append(event)
        own.append(event)


def _write_rare(tables: Tables, a: Append, key: StreamKey) -> None:
    tenant, stream = key
    for e in a.effects:
        tables.put_effect(Effect(
            e.id, tenant, stream, a.partition, e.kind, e.effect_class, e.key, e.data, e.time, e.causation,
            e.correlation, e.trace, "requested", "", None, False,
        ))  # fmt: skip
    for c in {c.id: c for c in a.changes}.values():
        e = tables.effects[c.id]
        outcome = e.outcome if c.outcome is None and c.status == e.status else c.outcome
        tables.put_effect(Effect(
            e.id, e.tenant, e.stream, e.partition, e.kind, e.effect_class, e.key, e.data, e.time, e.causation,
            e.correlation, e.trace, c.status, c.attempt, outcome, c.delivered,
        ))  # fmt: skip
    for name, _ in a.fired:
        tables.drop_timer(key, name)
    for name in a.cancelled:
        tables.drop_timer(key, name)
    for t in a.timers:
        tables.set_timer(Timer(
            tenant, stream, a.partition, t.name, t.id, t.due, t.type, t.schema, t.data, t.causation, t.correlation
        ))  # fmt: skip
    if a.fork_of is not None:
        tables.forks[key] = a.fork_of
