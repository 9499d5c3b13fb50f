"""The port to the log. One contract suite (`tests/contract/test_store.py`) runs against every adapter.

What one handled message, or a batch of messages to the same actor, leads to is one `Append`: it is written whole or
not at all. Appends of many actors travel together (group commit) and each has its own verdict.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from enum import IntEnum
from typing import Protocol

import msgspec

from events.envelope import Answer, Event


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
    (None: all of them); it gives the version and position its answer names.
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
    outcome. Guard: an effect that is settled and delivered changes no more, except unknown → succeeded or failed.
    """

    id: str
    status: str
    attempt: str
    outcome: bytes | None = None
    delivered: bool = False


class Effect(msgspec.Struct, frozen=True, gc=False):
    """A row of the effect ledger."""

    id: str
    tenant: str
    stream: str
    partition: int
    kind: str
    effect_class: str
    key: str
    data: bytes
    time: int
    causation: str
    correlation: str
    trace: str | None
    status: str
    attempt: str
    outcome: bytes | None
    delivered: bool


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


class Timer(msgspec.Struct, frozen=True, gc=False):
    """A pending timer."""

    tenant: str
    stream: str
    partition: int
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
    """A message it handles was handled before; `first` is the answer it got."""
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


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A disposable shortcut: the state at `version`, valid only for the fold (state schema and code) that made it."""

    tenant: str
    stream: str
    version: int
    fold: str
    state: bytes


class StateHash(msgspec.Struct, frozen=True, gc=False):
    """What the state was when it was live, to hold a later refold against. Kept when the code changes."""

    tenant: str
    stream: str
    version: int
    hash: bytes
    fold: str


class Loaded(msgspec.Struct, gc=False):
    """What an activation needs: the newest matching snapshot and the events after it.

    `events` are (version, type, schema, data) in order of version; `version` and `hash` are the stream's head (0 and
    GENESIS for a stream that does not exist yet).
    """

    version: int
    hash: bytes
    snapshot: Snapshot | None
    events: Sequence[tuple[int, str, int, bytes]]


class HandledMessage(msgspec.Struct, frozen=True, gc=False):
    """A row of the message log: the message, what came of it, and the stream's version after it."""

    tenant: str
    stream: str
    id: str
    type: str
    schema: int
    data: bytes
    sender: str
    time: int
    causation: str
    correlation: str
    outcome: str
    answer: bytes | None
    version: int
    position: int


class HostRow(msgspec.Struct, frozen=True, gc=False):
    """A host as the store sees it. `alive` is judged by the store's own clock."""

    id: str
    alive: bool
    started_at: int
    info: bytes


class Lease(msgspec.Struct, frozen=True, gc=False):
    """Who owns a partition (None: nobody), and under which epoch."""

    partition: int
    owner: str | None
    epoch: int


class EventStore(Protocol):
    """The append-only log and the rows that are written with it. All methods raise StoreUnavailable when it is away.

    `append` raises OutcomeUnknown when the connection was lost during the commit.
    """

    # -- writing
    async def append(self, batch: Sequence[Append]) -> Appended:
        """Write a batch under the log's lock; one verdict each, in order. See `Status`.

        Guards see what earlier appends of the batch wrote. Of the statuses that apply, the lowest is given. Raises
        InvalidData, with nothing written, naming the append that holds what cannot be stored: U+0000 or a lone
        surrogate in a text, a message id that is no UUID, mail without an event.
        """
        ...

    async def bulk(self, appends: Sequence[Append]) -> Appended:
        """Append many events at once (import): as `append`, for appends that have only events."""
        ...

    # -- reading the log
    async def head(self) -> int:
        """The last position, 0 for an empty log."""
        ...

    async def read(self, after: int, limit: int, types: Sequence[str] | None = None) -> list[Event]:
        """Events with a position greater than `after`, ascending, at most `limit`, of those types only if given."""
        ...

    async def read_stream(
        self, tenant: str, stream: str, after: int = 0, upto: int | None = None, limit: int | None = None
    ) -> list[Event]:
        """Events of one stream with `after` < version <= `upto`, ascending. A fork's prefix is read through."""
        ...

    async def load(self, keys: Sequence[tuple[str, str, str]]) -> list[Loaded]:
        """For each (tenant, stream, fold): what an activation needs, in that order. Reads through a fork's prefix."""
        ...

    def streams(self, tenant: str | None = None) -> AsyncIterator[tuple[str, str, int]]:
        """Every (tenant, stream, version), in order of (tenant, stream)."""
        ...

    async def messages(self, tenant: str, stream: str, after: int = 0, limit: int = 1000) -> list[HandledMessage]:
        """The message log of one stream with `version` > after, in the order handled.

        Messages that wrote nothing share the version before them (0, if the stream was empty: ask with after=-1). Those
        of the last version are all there, even beyond `limit`, so that the next page can begin after it.
        """
        ...

    async def answers(self, ids: Sequence[str]) -> dict[str, tuple[bytes, Answer]]:
        """For those of these messages that were handled (and are remembered): digest and first answer."""
        ...

    # -- mailboxes, effects, timers
    async def mail(self, partitions: Sequence[int], after: int, limit: int) -> tuple[list[Mail], int]:
        """Waiting tells of the partitions with position > after, in order of (position, ordinal), and the log's head.

        Both are of one snapshot. When exactly `limit` rows come back there may be more: ask again after the last
        position minus one, and skip what was seen.
        """
        ...

    async def mail_of(self, tenant: str, stream: str, after: MailKey | None, limit: int) -> list[Mail]:
        """Waiting tells of one actor beyond `after`, in order."""
        ...

    async def effects(self, partitions: Sequence[int], after: str, limit: int) -> list[Effect]:
        """Effects not yet delivered to their actor, of the partitions, in order of id, with id > after."""
        ...

    async def effect(self, id: str) -> Effect | None:
        """One row of the ledger."""
        ...

    async def timers(self, partitions: Sequence[int], until: int, limit: int) -> list[Timer]:
        """Pending timers of the partitions due at or before `until` (µs), earliest first."""
        ...

    async def timers_of(self, tenant: str, stream: str) -> list[Timer]:
        """Pending timers of one actor, by name."""
        ...

    # -- shortcuts and proof
    async def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        """Keep the newest snapshot of each stream."""
        ...

    async def save_state_hashes(self, hashes: Sequence[StateHash]) -> None:
        """Remember what states were, for verification. The first hash of a (stream, version) stays."""
        ...

    async def state_hashes(self, tenant: str, stream: str) -> list[StateHash]:
        """Remembered states of one stream, by version."""
        ...

    # -- ownership
    async def join(self, host: str, ttl: float, info: bytes) -> None:
        """Announce a host whose lease lasts `ttl` seconds after each heartbeat."""
        ...

    async def heartbeat(self, host: str) -> tuple[list[HostRow], list[Lease]]:
        """Renew the host's lease and see everybody. Raises NotOwned if the lease already ran out (join again)."""
        ...

    async def claim(self, host: str, partitions: Sequence[int]) -> dict[int, int]:
        """Take partitions that nobody alive owns; returns those taken with their new epochs. Ordered with appends."""
        ...

    async def release(self, host: str, partitions: Sequence[int]) -> None:
        """Give partitions back so that another host can claim them at once."""
        ...

    async def leave(self, host: str) -> None:
        """Release everything and forget the host."""
        ...

    async def strike(self, tenant: str, stream: str, message: str, reason: str) -> int:
        """Count a death of a host with this message in hand; returns how many there were."""
        ...

    async def strikes(self, tenant: str, stream: str) -> dict[str, int]:
        """Deaths counted against messages of this actor."""
        ...
