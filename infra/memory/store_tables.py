"""What a `MemoryStore` holds: the tables of the log as dictionaries and lists."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence

import msgspec

from events.address import PARTITIONS, partition_of
from events.envelope import Answer, Event
from events.store import Effect, Epoch, Handled, Mail, MailKey, Snapshot, StateHash, Timer

StreamKey = tuple[str, str]
"""(tenant, stream)"""
MailPlace = tuple[int, int, int]
"""(partition, position, ordinal)"""
TimerPlace = tuple[int, str, str, str]
"""(due, tenant, stream, name)"""


class Row(msgspec.Struct, eq=False):
    """A handled message, the stream's version and the log's position after it."""

    handled: Handled
    tenant: str
    stream: str
    version: int
    position: int
    recorded_at: int

    def answer(self) -> Answer:
        """What it was answered."""
        handled = self.handled
        return Answer(handled.outcome, self.position, self.version, handled.answer, duplicate=True)


class Tables:
    """All rows. Invariant: `log[n].position == n + 1`."""

    __slots__ = (
        "claims", "effects", "epochs", "forks", "horizon", "log", "mailbox", "messages", "messages_of", "open_effects",
        "order", "owners", "recorded_at", "snapshots", "state_hashes", "streams", "strikes", "timers", "timers_due",
        "waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self.log: list[Event] = []
        self.recorded_at = 0
        self.horizon = 0
        self.streams: dict[StreamKey, list[Event]] = {}
        self.forks: dict[StreamKey, tuple[str, int]] = {}
        self.messages: dict[str, Row] = {}
        self.messages_of: dict[StreamKey, list[Row]] = {}
        self.mailbox: dict[MailPlace, Mail] = {}
        self.order: list[list[tuple[int, int]]] = [[] for _ in range(PARTITIONS)]
        """By partition the (position, ordinal) of its mail, ascending; some may be consumed already."""
        self.waiting = [0] * PARTITIONS
        self.effects: dict[str, Effect] = {}
        self.open_effects: list[set[str]] = [set() for _ in range(PARTITIONS)]
        self.timers: dict[StreamKey, dict[str, Timer]] = {}
        self.timers_due: list[list[TimerPlace]] = [[] for _ in range(PARTITIONS)]
        self.snapshots: dict[StreamKey, Snapshot] = {}
        self.state_hashes: dict[StreamKey, dict[int, StateHash]] = {}
        self.owners: list[str | None] = [None] * PARTITIONS
        self.epochs = [0] * PARTITIONS
        self.claims: list[list[Epoch]] = [[] for _ in range(PARTITIONS)]
        self.strikes: dict[tuple[str, str, str], tuple[int, int]] = {}
        """By (tenant, stream, message) how many, and when the last."""

    # -- mailboxes
    def put_mail(self, mails: Sequence[Mail], position: int) -> None:
        """Add the tells of one append, which is at this position."""
        mailbox, order, waiting = self.mailbox, self.order, self.waiting
        for mail in mails:
            partition, ordinal = mail.partition, mail.ordinal
            mail.position = position
            mailbox[partition, position, ordinal] = mail
            order[partition].append((position, ordinal))
            waiting[partition] += 1

    def take_mail(self, keys: Sequence[MailKey]) -> None:
        """Remove the tells that one append consumes."""
        mailbox, waiting = self.mailbox, self.waiting
        for key in keys:
            del mailbox[key.partition, key.position, key.ordinal]
            waiting[key.partition] -= 1
        partition = keys[0].partition
        order = self.order[partition]
        if len(order) > 64 + 4 * waiting[partition]:
            self.order[partition] = [(p, o) for p, o in order if (partition, p, o) in mailbox]

    def mail_after(self, partition: int, position: int, ordinal: int) -> Iterator[Mail]:
        """Waiting tells of a partition beyond a place, in order."""
        order = self.order[partition]
        for n in range(bisect_right(order, (position, ordinal)), len(order)):
            mail = self.mailbox.get((partition, *order[n]))
            if mail is not None:
                yield mail

    def waits(self, tenant: str, stream: str, message: str) -> bool:
        """Whether a tell of this id waits for an actor."""
        mail = self.mail_after(partition_of(tenant, stream), -1, -1)
        return any(m.id == message and m.stream == stream and m.tenant == tenant for m in mail)

    # -- timers
    def set_timer(self, timer: Timer) -> None:
        """Add a timer in the place of the one of that name."""
        self.drop_timer((timer.tenant, timer.stream), timer.name)
        self.timers.setdefault((timer.tenant, timer.stream), {})[timer.name] = timer
        insort(self.timers_due[timer.partition], (timer.due, timer.tenant, timer.stream, timer.name))

    def drop_timer(self, key: StreamKey, name: str) -> None:
        """Remove a timer, if there is one."""
        timers = self.timers.get(key)
        timer = timers.pop(name, None) if timers else None
        if timer is None:
            return
        if not timers:
            del self.timers[key]
        due = self.timers_due[timer.partition]
        del due[bisect_left(due, (timer.due, timer.tenant, timer.stream, timer.name))]

    # -- effects
    def put_effect(self, effect: Effect) -> None:
        """Add or replace a row of the ledger."""
        self.effects[effect.id] = effect
        if effect.delivered:
            self.open_effects[effect.partition].discard(effect.id)
        else:
            self.open_effects[effect.partition].add(effect.id)

    # -- streams
    def version(self, key: StreamKey) -> int:
        """The head of a stream."""
        own = self.streams.get(key)
        return own[-1].version if own else 0

    def history(self, key: StreamKey, after: int, upto: int) -> Sequence[Event]:
        """Events of a stream with after < version <= upto, those of a fork's source before its own."""
        own = self.streams.get(key)
        if not own:
            return ()
        first = own[0].version
        found = own[max(0, after - first + 1) : max(0, upto - first + 1)]
        fork = self.forks.get(key)
        if fork is not None and after < fork[1]:
            return [*self.history((key[0], fork[0]), after, min(upto, fork[1])), *found]
        return found
