"""The all-or-nothing append that one or several decisions of an actor become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import msgspec

from actors.core.cell import Cell, Work
from events import chain
from events.envelope import Answer, Message
from events.ids import numbered
from events.store import (
    Append,
    EffectChange,
    Handled,
    Mail,
    MailKey,
    NewEffect,
    NewEvent,
    NewTimer,
)

_encode = msgspec.json.Encoder().encode

T = TypeVar("T")


def _and(items: Sequence[T], item: T) -> Sequence[T]:
    """The items and one more; a list once there is one."""
    if not items:
        return [item]
    cast("list[T]", items).append(item)
    return items


class Draft:
    """The append being put together for one actor. Every message decided into it adds its part, or nothing."""

    __slots__ = (
        "answers",
        "cancelled",
        "cell",
        "changes",
        "effects",
        "events",
        "fired",
        "handled",
        "hash",
        "mail",
        "ordinal",
        "taken",
        "timers",
        "told",
        "version",
        "works",
    )

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.version = cell.version
        self.hash = cell.hash
        self.ordinal = 0
        self.told = 0
        """How many of the tells belong to messages that are done with."""
        self.works: list[Work] = []
        self.answers: list[tuple[int, int, str, bytes | None] | None] = []
        """For each work, if somebody waits: number of events up to and with it, version after it, outcome, reply."""
        self.events: list[NewEvent] = []
        self.handled: list[Handled] = []
        # What few decisions have begins as the empty tuple: five lists less for each of the others.
        self.mail: Sequence[Mail] = ()
        self.taken: Sequence[MailKey] = ()
        self.effects: Sequence[NewEffect] = ()
        self.changes: Sequence[EffectChange] = ()
        self.timers: Sequence[NewTimer] = ()
        self.fired: Sequence[tuple[str, str]] = ()
        self.cancelled: Sequence[str] = ()

    def append(self, epoch: int | None) -> Append:
        """The finished append."""
        cell = self.cell
        return Append(
            cell.tenant,
            cell.address,
            cell.partition,
            epoch,
            cell.version,
            self.events,
            self.handled,
            self.mail,
            self.taken,
            self.effects,
            self.changes,
            self.timers,
            self.fired,
            self.cancelled,
        )

    def record(self, base: str, number: int, message: Message, event: Any, name: str, schema: int) -> str:
        """Add one event; returns its id."""
        return self.add(numbered(base, number), name, schema, _encode(event), message, None)

    def add(self, id: str, name: str, schema: int, data: bytes, message: Message, meta: bytes | None) -> str:
        """Add one event as it will be stored; returns its id."""
        cell = self.cell
        version = self.version + 1
        cause = message.causation or message.id
        link = chain.link(self.hash, cell.tenant, cell.address, version, id, name, schema, cause, data)
        self.events.append(
            NewEvent(id, name, schema, data, cause, message.correlation or message.id, link, message.trace, meta)
        )
        self.version = version
        self.hash = link
        return id

    def send(
        self,
        id: str,
        to: str,
        partition: int,
        name: str,
        schema: int,
        data: bytes,
        message: Message,
        cause: str,
        meta: bytes | None = None,
    ) -> None:
        """Add one tell."""
        cell = self.cell
        mail = Mail(
            partition, cell.tenant, to, self.ordinal, id, name, schema, data, cell.address, message.time, cause,
            message.correlation or message.id, message.trace, meta,
        )  # fmt: skip
        self.mail = _and(self.mail, mail)
        self.ordinal += 1

    def ask(self, effect: NewEffect) -> None:
        """Open an effect."""
        self.effects = _and(self.effects, effect)

    def wind(self, timer: NewTimer) -> None:
        """Set a timer. An append drops timers before it sets any, and sets each name once: the last word counts."""
        self.timers = _and([known for known in self.timers if known.name != timer.name], timer)

    def unwind(self, name: str) -> None:
        """Drop a timer, and one of that name that an earlier message of the same draft wound."""
        self.timers = [known for known in self.timers if known.name != name]
        self.cancelled = _and(self.cancelled, name)

    def overtook(self, name: str) -> bool:
        """Whether an earlier message of the draft replaced or dropped that timer: the log is to judge it."""
        return name in self.cancelled or any(timer.name == name for timer in self.timers)

    def consume(self, work: Work, outcome: str, answer: bytes | None, kept: bytes | None = None) -> None:
        """Add the message itself and the row it came from; `kept` is the answer as it is remembered, if not as said."""
        message, mail = work.message, work.mail
        upto = len(self.events)
        has_row = mail is not None or work.timer is not None or work.change is not None
        self.handled.append(
            Handled(
                message.id, message.digest, message.type, message.schema, message.body, message.sender, message.time,
                message.causation, message.correlation or message.id, outcome, kept or answer, upto, has_row,
                self.ordinal - self.told,
            )
        )  # fmt: skip
        self.told = self.ordinal
        if mail is not None:
            self.taken = _and(self.taken, mail)
        elif work.timer is not None:
            self.fired = _and(self.fired, work.timer)
        elif work.change is not None:
            self.changes = _and(self.changes, work.change)
        self.works.append(work)
        self.answers.append(None if work.done is None else (upto, self.version, outcome, answer))


def answer_of(entry: tuple[int, int, str, bytes | None], position: int, head: int) -> Answer:
    """The answer to one work of a written append whose first event is at `position`."""
    count, version, outcome, data = entry
    return Answer(outcome, position + count - 1 if count else head, version, data)
