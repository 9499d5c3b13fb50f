"""After the commit: what each verdict means for the actor, for those who wait, and for what it asked of the world."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from actors.core.cell import Cell, Work
from actors.core.draft import Draft, answer_of
from events.envelope import Answer
from events.errors import Conflict, KeyExpired, KeyReused, NotOwned, OutcomeUnknown, ThespisError, Unavailable
from events.sealing import is_sealed
from events.store import EXPIRED, Append, Appended, Effect, MailKey, Status, Timer, Verdict

if TYPE_CHECKING:
    from actors.core.host import Host

MAX_CONFLICTS = 100
"""Times a decision may find that the stream moved on before that counts as a failure."""


class Verdicts:
    """Takes the verdict on one actor's append. Anything but *written* forgets the state."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.handled = 0

    def take(self, cell: Cell, draft: Draft, verdict: Verdict | ThespisError, appended: Appended | None) -> None:
        """One verdict."""
        host = self._host
        cell.busy = False
        if cell.uncertain and not isinstance(verdict, ThespisError):
            cell.uncertain = False
            host.memory.recall(cell)
        if isinstance(verdict, ThespisError) or appended is None:
            self._no_verdict(cell, draft.works, verdict)
        elif verdict.status is Status.WRITTEN:
            self._written(cell, draft, verdict.position, appended)
        elif verdict.status is Status.FENCED:
            host.ownership.fenced(cell.partition)
            host.mailroom.lost([cell.partition])
            host.timers.lost([cell.partition])
            host.run_queue.requeue(cell, draft.works)
            host.supervision.drop(cell, NotOwned(f"{cell.address} moved to another host"))
            return
        else:
            cell.unload()
            self._not_written(cell, draft, verdict)
        if cell.queue:
            host.run_queue.make_ready(cell)
        elif cell.backlog is not None:
            host.memory.refill(cell)

    def _no_verdict(self, cell: Cell, works: list[Work], error: Verdict | ThespisError) -> None:
        host = self._host
        cell.unload()
        if not isinstance(error, Unavailable):
            # The log will not take this, now or later: find out which message it is.
            failure = error if isinstance(error, ThespisError) else ThespisError("no verdict")
            if len(works) > 1:
                for work in works:
                    work.solo = True
                host.run_queue.requeue(cell, works)
            else:
                host.supervision.failed(cell, works, failure)
            return
        host.run_queue.requeue(cell, works)
        if isinstance(error, OutcomeUnknown):
            # The outcome is open: the inbox decides when each is handled again. What it opened is in the store alone.
            cell.uncertain = True
            for work in works:
                work.uncertain = True
        else:
            # Not written: what has a row is tried again, before all else, so whoever waits outside is told now.
            host.supervision.tell_outside(cell, error)

    def _written(self, cell: Cell, draft: Draft, position: int, appended: Appended) -> None:
        host = self._host
        cell.version = draft.version
        cell.hash = draft.hash
        self.handled += len(draft.works)
        for work, entry in zip(draft.works, draft.answers, strict=True):
            if entry is not None and work.done is not None:
                work.done(answer_of(entry, position, appended.head))
            if work.mail is not None:
                continue
            if work.timer is not None:
                host.timers.drop(cell.tenant, cell.address, work.timer[0], work.timer[1])
            elif work.change is not None:
                host.effects.closed(work.change.id)
            if work.note is not None:
                host.memory.noted(cell, work.note)
        for name in draft.cancelled:
            host.timers.drop(cell.tenant, cell.address, name)
        for timer in draft.timers:
            host.timers.set(
                Timer(
                    cell.tenant, cell.address, cell.partition, timer.name, timer.id, timer.due, timer.type,
                    timer.schema, timer.data, timer.causation, timer.correlation,
                )
            )  # fmt: skip
        for new in draft.effects:
            host.effects.opened(
                Effect(
                    new.id, cell.tenant, cell.address, cell.partition, new.kind, new.effect_class, new.key, new.data,
                    new.time, new.causation, new.correlation, new.trace, "requested", "", None, False,
                )
            )  # fmt: skip
        if cell.version - cell.snapped >= cell.kind.snapshot_every:
            host.memory.snapshot(cell)

    def _not_written(self, cell: Cell, draft: Draft, verdict: Verdict) -> None:
        host = self._host
        works = draft.works
        if len(works) > 1 and verdict.status in (Status.DUPLICATE, Status.KEY_REUSED):
            cell.busy = True
            host.memory.spawn(self._sort_out(cell, works))
            return
        if len(works) > 1 or verdict.status is Status.CONFLICT:
            for work in works:
                work.solo = True
                work.conflicts += 1
            if works[0].conflicts > MAX_CONFLICTS:
                host.supervision.failed(cell, works[:1], Conflict(f"{cell.address} never is where it was read"))
                works = works[1:]
            host.run_queue.requeue(cell, works)
            return
        work = works[0]
        if verdict.status is Status.KEY_REUSED or verdict.first is not None:
            self._repeat(cell, work, None if verdict.status is Status.KEY_REUSED else verdict.first)
        elif work.done is not None:
            work.done(OutcomeUnknown(f"what {work.message.id} consumes was consumed before"))
        if work.timer is not None:
            host.timers.drop(cell.tenant, cell.address, work.timer[0], work.timer[1])
        elif work.change is not None:
            host.effects.closed(work.change.id)

    def _repeat(self, cell: Cell, work: Work, first: Answer | None) -> None:
        """The message was handled before: with this answer, or (None) with another body."""
        if work.done is not None:
            if first is not None and first.outcome == EXPIRED:
                text = f"message {work.message.id} to {cell.address} was handled long ago, at position {first.position}"
                work.done(KeyExpired(f"{text}; what it was answered is forgotten"))
            elif first is not None:
                self._host.personal.again(work, cell, first)
            else:
                work.done(_reused(cell, work))
        if work.mail is not None:
            self._discard_mail(cell, work.mail)

    async def _sort_out(self, cell: Cell, works: list[Work]) -> None:
        """Of a batch that holds repetitions: answer those at once, and let the rest be decided again."""
        host = self._host
        rest = works
        with contextlib.suppress(ThespisError):
            # Tells keep to the slow way: their row has to be consumed too.
            known = await host.store.answers([work.message.id for work in works if work.mail is None])
            rest = [work for work in works if work.message.id not in known]
            for work in works:
                if work.message.id in known:
                    digest, first = known[work.message.id]
                    same = digest == work.message.digest or first.outcome == EXPIRED
                    self._repeat(cell, work, first if same else None)
        if len(rest) == len(works):
            for work in rest:
                work.solo = True
        cell.busy = False
        host.run_queue.requeue(cell, rest)
        if cell.queue:
            host.run_queue.make_ready(cell)

    def _discard_mail(self, cell: Cell, key: MailKey) -> None:
        """The message came by another way before; its row has no more to say."""
        host = self._host
        epoch = host.owned.get(cell.partition)
        if epoch is not None:
            cell.busy = True
            row = Append(cell.tenant, cell.address, cell.partition, epoch, cell.version, taken=[key])
            host.appender.submit(row, lambda _verdict, _appended: self._free(cell))

    def _free(self, cell: Cell) -> None:
        cell.busy = False
        if cell.queue:
            self._host.run_queue.make_ready(cell)


def _reused(cell: Cell, work: Work) -> KeyReused:
    message = work.message
    text = f"message {message.id} to {cell.address} came before with another body"
    if not is_sealed(message.body):
        return KeyReused(text)
    # Bodies with personal fields are compared as they are kept: sealed, each with its subject's key of the time.
    return KeyReused(
        f"{text}, or its subject was erased since",
        hint="what was handled then stays handled; after an erasure its personal data are gone and cannot be compared: "
        "to do it once more, send it under another key",
    )
