"""Where messages come from besides the door: mailboxes, timers, and the outcomes of effects."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from actors.core.cell import Cell, Work
from actors.core.effects import outcome_id
from actors.core.outputs import Outcome
from events.envelope import Message
from events.store import Append, Effect, EffectChange, Mail, MailKey, Status, Timer

if TYPE_CHECKING:
    from actors.core.host import Host

log = logging.getLogger("thespis.host")

_encode = msgspec.json.Encoder().encode


class Sources:
    """Makes a message of what the store holds for an actor, with the row its append will consume."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def take_mail(self, mail: Mail) -> None:
        """A tell waits in the mailbox of an actor here."""
        cell = self._host.cell(mail.tenant, mail.stream, mail.partition)
        if cell is None:
            log.error("%s has mail, but its kind does not run here", mail.stream)
            return
        key = MailKey(mail.partition, mail.position, mail.ordinal)
        if cell.backlog is not None:
            cell.seen = key
            return
        queue = cell.queue
        if queue is not None and len(queue) >= self._host.settings.queue_limit:
            last = next((w.mail for w in reversed(queue) if w.mail is not None), None)
            cell.backlog = last or MailKey(mail.partition, 0, 0)
            cell.seen = key
            return
        self._host.run_queue.enqueue(cell, Work(_message(mail), mail=key))

    def take_backlog(self, cell: Cell, mails: Sequence[Mail]) -> MailKey | None:
        """Enqueue tells that waited in the store only; returns the place of the last one."""
        key: MailKey | None = None
        for mail in mails:
            key = MailKey(mail.partition, mail.position, mail.ordinal)
            self._host.run_queue.enqueue(cell, Work(_message(mail), mail=key))
        return key

    def fire(self, timer: Timer) -> None:
        """A timer is due."""
        cell = self._host.cell(timer.tenant, timer.stream, timer.partition)
        if cell is None:
            return
        at = max(timer.due, self._host.now())
        message = Message(
            timer.id, timer.type, timer.stream, timer.tenant, timer.data, timer.stream, at, timer.causation,
            timer.correlation, schema=timer.schema,
        )  # fmt: skip
        self._host.run_queue.enqueue(cell, Work(message, timer=(timer.name, timer.id)))

    def settle(self, effect: Effect, outcome: Outcome, change: EffectChange, note: object) -> None:
        """An effect has an outcome."""
        cell = self._host.cell(effect.tenant, effect.stream, effect.partition)
        if cell is None:
            return
        message = Message(
            outcome_id(effect, change.attempt, change.status), "Outcome", effect.stream, effect.tenant,
            _encode(outcome), f"effect:{effect.kind}", self._host.now(), effect.causation, effect.correlation,
            trace=effect.trace,
        )  # fmt: skip
        self._host.run_queue.enqueue(cell, Work(message, change=change, note=note))

    async def record(self, effect: Effect, change: EffectChange) -> bool:
        """Append a bare change of the ledger; says whether it was written."""
        epoch = self._host.ownership.owned.get(effect.partition)
        if epoch is None:
            return False
        row = Append(effect.tenant, f"effect/{effect.id}", effect.partition, epoch, 0, changes=[change])
        verdict, _ = await self._host.appender.append(row)
        return verdict.status is Status.WRITTEN


def _message(mail: Mail) -> Message:
    return Message(
        mail.id, mail.type, mail.stream, mail.tenant, mail.data, mail.sender, mail.time, mail.causation,
        mail.correlation, None, mail.schema, b"", mail.trace, mail.meta,
    )  # fmt: skip
