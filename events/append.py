"""One append: what a handled message leads to, and the verdict on it.

What one handled message, or a batch of messages to the same actor, leads to is one `Append`: it is written whole or
not at all. Appends of many actors travel together (group commit) and each has its own verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import msgspec

from events.envelope import Answer


class NewEvent(msgspec.Struct, gc=False):
    """An event to be written: `Event` without what the log itself assigns (position, recorded_at).

    `recorded_at` (microseconds) is for `bulk` alone: the time an imported event was first recorded.
    """

    id: str
    type: str
    schema: int
    data: bytes
    causation: str
    correlation: str
    hash: bytes
    trace: str | None = None
    meta: bytes | None = None
    recorded_at: int | None = None


class Handled(msgspec.Struct, gc=False):
    """A message consumed by the append: the row of the message log that is also the inbox.

    `id` (a UUID) is the guard: a second append that handles it is not written, its verdict brings the first answer.
    `digest` (16 bytes) tells another body under the same id. `outcome` is handled, refused or skipped. `time` is the
    message's own, in microseconds. `upto` is how many of the append's events there were once this message was decided
    (None: all of them); it gives the version and position its answer names. `guarded` says that it came with a row
    (tell, timer, outcome of an effect) which the same append consumes: it cannot come again, and its row here may be
    forgotten once it is old; that of a message from outside may not, see `EXPIRED`. `told` is how many tells were sent
    when it was decided: for the proof that none is lost, see `events.ids.derived`.
    """

    id: str
    digest: bytes
    type: str
    schema: int
    data: bytes
    sender: str
    time: int
    causation: str
    correlation: str
    outcome: str = "handled"
    answer: bytes | None = None
    upto: int | None = None
    guarded: bool = False
    told: int = 0


EXPIRED: Final = "expired"
"""The outcome given for a message from outside that was handled longer ago than the inbox remembers: its body and
answer are gone, its id is not, so it is never handled again. Whoever asks is told KeyExpired."""


class Mail(msgspec.Struct, gc=False):
    """A tell on its way: a durable row in the receiver's mailbox until the receiver's append consumes it.

    Its place (partition, position, ordinal) orders the mailbox: `position` is that of the first event of the append
    that sent it (0 until `append` sets it on what it wrote; an append with mail has at least one event), `ordinal` its
    place in that append.
    """

    partition: int
    tenant: str
    stream: str
    ordinal: int
    id: str
    type: str
    schema: int
    data: bytes
    sender: str
    time: int
    causation: str
    correlation: str
    trace: str | None = None
    meta: bytes | None = None
    position: int = 0


class MailKey(msgspec.Struct, frozen=True, gc=False):
    """The place of a mailbox row."""

    partition: int
    position: int
    ordinal: int


class NewEffect(msgspec.Struct, gc=False):
    """An effect asked for: a row of the ledger, open until its outcome is delivered to the actor.

    `effect_class` is pure, idempotent, keyed or irreversible; `key` goes to the outside with every attempt.
    """

    id: str
    kind: str
    effect_class: str
    key: str
    data: bytes
    time: int
    causation: str
    correlation: str
    trace: str | None = None


class EffectChange(msgspec.Struct, gc=False):
    """What became of an effect: `started` (recorded before an irreversible call), `succeeded`, `failed`, `unknown`,
    `cancelled`.

    `attempt` is `epoch.n`, unique without a commit of its own. `delivered` says that this same append also handles the
    outcome. Guards: an effect that is settled and delivered changes no more, except unknown → succeeded or failed; and
    it is `started` only as `may_start` allows.
    """

    id: str
    status: str
    attempt: str
    outcome: bytes | None = None
    delivered: bool = False


def may_start(status: str, recorded: str, attempt: str) -> bool:
    """Whether an effect of this status, with this attempt recorded last, may become `started` as `attempt` (P8).

    From `requested` always: nobody has called yet. From `started` as the same attempt, for the record of it may have to
    be repeated when a commit's outcome was unknown; and as a later attempt of the same epoch (`1.7` after `1.5`), for
    whoever made the last call under that epoch is the one who saw it fail. Under another epoch never: who takes over
    cannot know how far the lost call got, so it is reconciled or becomes `unknown`. From anything else never.
    """
    if status == "requested":
        return True
    if status != "started":
        return False
    if recorded == attempt:
        return True
    (epoch, dot, n), (last_epoch, last_dot, last) = attempt.partition("."), recorded.partition(".")
    return bool(dot and last_dot) and epoch == last_epoch and (len(n), n) > (len(last), last)


class NewTimer(msgspec.Struct, gc=False):
    """A message the actor sends itself at `due` (microseconds). A timer of the same name replaces the one before."""

    name: str
    id: str
    due: int
    type: str
    schema: int
    data: bytes
    causation: str
    correlation: str


class Append(msgspec.Struct, gc=False):
    """One all-or-nothing write by one actor.

    `expected` is the stream's version before. `epoch` fences it: it must be the partition's, or None for streams that
    are guarded by their version alone (imports, foreign libraries). A batch holds at most one append per stream.
    `mail` are the tells sent, `taken` the mailbox rows consumed, `fired` the (name, id) of timers consumed,
    `cancelled` the names of timers dropped. Every guard that fails makes the whole append not written.
    """

    tenant: str
    stream: str
    partition: int
    epoch: int | None
    expected: int
    events: Sequence[NewEvent] = ()
    handled: Sequence[Handled] = ()
    mail: Sequence[Mail] = ()
    taken: Sequence[MailKey] = ()
    effects: Sequence[NewEffect] = ()
    changes: Sequence[EffectChange] = ()
    timers: Sequence[NewTimer] = ()
    fired: Sequence[tuple[str, str]] = ()
    cancelled: Sequence[str] = ()
    fork_of: tuple[str, int] | None = None
    """(source stream, version): this append begins a fork. The stream must not exist, `expected` is that version, and
    the source must have reached it; from then on reads of the fork go through the source up to that version."""


class Status(IntEnum):
    """What happened to one append. Only `WRITTEN` may be acknowledged."""

    WRITTEN = 0
    FENCED = 1
    """The partition has another epoch: this host no longer owns it and must stay silent."""
    DUPLICATE = 2
    """A message it handles was handled before; `first` is the answer it got, with outcome `EXPIRED` if that is gone."""
    KEY_REUSED = 3
    """A message it handles was handled before with another body."""
    GONE = 4
    """A mailbox row, timer or open effect it consumes is no longer there: it was consumed before."""
    CONFLICT = 5
    """The stream is not at the expected version, or had an append in this batch already; or the append contradicts
    itself or the ledger: a message or row named twice, an effect id that was used, a fork of what is not there."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """`position` is that of the append's first event when it is written and has one, else the head of the log.

    `message` and `first` are set for DUPLICATE and KEY_REUSED: which message, and what it was answered the first time.
    """

    status: Status
    position: int
    message: str | None = None
    first: Answer | None = None


class Appended(msgspec.Struct, frozen=True):
    """The outcome of a batch: its verdicts in order, the head of the log before and after it, and its time (µs).

    Positions `before + 1` … `head` are exactly the events of this batch, in batch order.
    """

    verdicts: list[Verdict]
    before: int
    head: int
    recorded_at: int
