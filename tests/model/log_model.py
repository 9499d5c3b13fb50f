"""The log as a few lists and dictionaries, judged by the letter of the port: slow, obvious, easy to copy."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from events.store import EXPIRED, Append, EffectChange, Status

Outcome = tuple[Status, int, str | None, Any]
"""Status, position, message, (outcome, position, version, data) of the first answer."""


class Model:
    """What must be in the log."""

    def __init__(self) -> None:
        self.log: list[tuple[str, int, bytes]] = []
        self.forks: dict[str, tuple[str, int]] = {}
        self.inbox: dict[str, tuple[bytes, str, int, int, bytes | None]] = {}
        self.told: dict[str, int] = {}
        self.guarded: set[str] = set()
        self.mail: dict[tuple[int, int, int], str] = {}
        self.timers: dict[tuple[str, str], tuple[str, int]] = {}
        self.effects: dict[str, tuple[str, str, str, bytes | None, bool]] = {}
        self.epochs = [0] * 64

    def copy(self) -> Model:
        """One to try something on."""
        return deepcopy(self)

    def version(self, stream: str) -> int:
        """The head of a stream."""
        return max((version for s, version, _ in self.log if s == stream), default=0)

    def history(self, stream: str, upto: int = 2**31) -> list[tuple[int, bytes]]:
        """(version, data) of a stream, through its fork."""
        own = [(v, data) for s, v, data in self.log if s == stream and v <= upto]
        if stream in self.forks and own:
            source, version = self.forks[stream]
            return self.history(source, min(version, upto)) + own
        return own

    def append(self, batch: list[Append]) -> tuple[int, int, list[Outcome]]:
        """(head before, head after, outcomes). Changes the model."""
        before = len(self.log)
        seen: set[str] = set()
        outcomes: list[Outcome] = []
        for a in batch:
            status, message = self._judge(a, a.stream in seen)
            seen.add(a.stream)
            first = self.inbox[message][1:] if message else None
            outcomes.append((status, len(self.log) + 1 if status == 0 and a.events else -1, message, first))
            if status == Status.WRITTEN:
                self._write(a)
        head = len(self.log)
        return before, head, [(s, head if p < 0 else p, m, f) for s, p, m, f in outcomes]

    def _judge(self, a: Append, again: bool) -> tuple[Status, str | None]:
        if a.epoch is not None and self.epochs[a.partition] != a.epoch:
            return Status.FENCED, None
        for m in a.handled:
            if m.id in self.inbox:
                same = self.inbox[m.id][0] == m.digest or self.inbox[m.id][1] == EXPIRED
                return (Status.DUPLICATE if same else Status.KEY_REUSED), m.id
        if any((k.partition, k.position, k.ordinal) not in self.mail for k in a.taken):
            return Status.GONE, None
        if any(self.timers.get((a.stream, name), ("", 0))[0] != id for name, id in a.fired):
            return Status.GONE, None
        new = [e.id for e in a.effects]
        if any(self._settled(c) for c in {c.id: c for c in a.changes}.values() if c.id not in new):
            return Status.GONE, None
        if again or len(set(new)) < len(new) or any(id in self.effects for id in new):
            return Status.CONFLICT, None
        if len({m.id for m in a.handled}) < len(a.handled) or len(set(a.taken)) < len(a.taken):
            return Status.CONFLICT, None
        if a.fork_of is not None:
            source, version = a.fork_of
            good = source != a.stream and self.version(a.stream) == 0 and version == a.expected <= self.version(source)
        else:
            good = self.version(a.stream) == a.expected
        return (Status.WRITTEN if good else Status.CONFLICT), None

    def forget(self) -> tuple[int, int]:
        """All old messages: how many are gone, and how many expired."""
        deleted = [id for id in self.inbox if id in self.guarded]
        expired = [id for id, row in self.inbox.items() if id not in self.guarded and row[1] != EXPIRED]
        for id in deleted:
            del self.inbox[id]
        for id in expired:
            self.inbox[id] = (b"", EXPIRED, *self.inbox[id][2:4], None)
        self.told.clear()
        return len(deleted), len(expired)

    def _settled(self, change: EffectChange) -> bool:
        if change.id not in self.effects:
            return True
        _, status, attempt, _, delivered = self.effects[change.id]
        if change.status == "started":
            # Not by the code under test: in so small a walk, what may follow what can be listed.
            allowed = {("requested", ""), ("started", change.attempt)}
            allowed |= {("started", "1.9")} if change.attempt == "1.10" else set()
            if (status, attempt) not in allowed:
                return True
        return delivered and not (status == "unknown" and change.status in ("succeeded", "failed"))

    def _write(self, a: Append) -> None:
        start = len(self.log)
        self.log += [(a.stream, a.expected + n, e.data) for n, e in enumerate(a.events, 1)]
        for m in a.handled:
            upto = len(a.events) if m.upto is None else m.upto
            self.guarded = self.guarded | {m.id} if m.guarded else self.guarded - {m.id}
            self.told[m.id] = m.told
            self.inbox[m.id] = (m.digest, m.outcome, start + upto, a.expected + upto, m.answer)
        for k in a.taken:
            del self.mail[k.partition, k.position, k.ordinal]
        for mail in a.mail:
            self.mail[mail.partition, start + 1, mail.ordinal] = mail.id
        for e in a.effects:
            self.effects[e.id] = (a.stream, "requested", "", None, False)
        for c in {c.id: c for c in a.changes}.values():
            stream, status, _, outcome, _ = self.effects[c.id]
            kept = outcome if c.outcome is None and c.status == status else c.outcome
            self.effects[c.id] = (stream, c.status, c.attempt, kept, c.delivered)
        for name in [name for name, _ in a.fired] + list(a.cancelled):
            self.timers.pop((a.stream, name), None)
        for t in a.timers:
            self.timers[a.stream, t.name] = (t.id, t.due)
        if a.fork_of is not None:
            self.forks[a.stream] = a.fork_of
