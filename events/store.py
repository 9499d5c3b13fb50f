"""The port to the log. One contract suite (`tests/contract`) runs against every adapter.

`events.append` says what an append is and what verdicts mean, `events.rows` what is read back; both are imported from
here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from events.append import (
    EXPIRED,
    Append,
    Appended,
    EffectChange,
    Handled,
    Mail,
    MailKey,
    NewEffect,
    NewEvent,
    NewTimer,
    Status,
    Verdict,
    may_start,
)
from events.envelope import Answer, Event
from events.rows import (
    Effect,
    Epoch,
    Figures,
    HandledMessage,
    HostRow,
    Lease,
    Loaded,
    Pruned,
    Snapshot,
    StateHash,
    Timer,
)

__all__ = [
    "EXPIRED",
    "Append",
    "Appended",
    "Effect",
    "EffectChange",
    "Epoch",
    "EventStore",
    "Figures",
    "Handled",
    "HandledMessage",
    "HostRow",
    "Lease",
    "Loaded",
    "Mail",
    "MailKey",
    "NewEffect",
    "NewEvent",
    "NewTimer",
    "Pruned",
    "Snapshot",
    "StateHash",
    "Status",
    "Timer",
    "Verdict",
    "may_start",
]


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
        of the last version are all there, even beyond `limit`, so that the next page can begin after it. What `prune`
        took is missing at the front, without a gap: the first message here was decided on the state at the version
        before it.
        """
        ...

    async def answers(self, ids: Sequence[str]) -> dict[str, tuple[bytes, Answer]]:
        """Digest and first answer of those that were handled; its outcome is `EXPIRED` once it is forgotten."""
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

    async def timers(
        self, partitions: Sequence[int], until: int, limit: int, after: tuple[int, str, str, str] | None = None
    ) -> list[Timer]:
        """Pending timers of the partitions due at or before `until` (µs), by (due, tenant, stream, name), those beyond
        `after`."""
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

    # -- housekeeping
    async def prune(self, before: int, *, hashes: int = 100) -> Pruned:
        """Forget what is no longer needed, in many small transactions; may be cut off and called again at any time.

        Of the message log what was handled before `before` (µs, a time of the log), oldest first in each stream:
        guarded messages are deleted, those from outside expire (see `EXPIRED`). So a stream can be replayed as ever,
        and run again with other code from the first message that is left, on the state at the version before it.
        Then bodies that no event, message or tell refers to; strikes against messages that were handled, or counted
        before `before` against what no longer waits; and of the state hashes of each stream all but `hashes` (at
        least 3): the first, the newest, and evenly between. Events, effects, timers and waiting tells are not touched.
        """
        ...

    async def archive(self, upto: int, *, fewest: int = 32, moved: Callable[[int], None] | None = None) -> int:
        """Move events at or below position `upto` to where they take less room; returns how many.

        Reads are as before, only slower there. The newest event of each stream stays, as does what others look at by
        other ways than this port (streams `es/…`). Small transactions, each whole or not at all; `moved` is told the
        number after each; may be cut off and called again at any time. What is left behind is fetched by a later call
        once there are `fewest` of a block.
        """
        ...

    async def figures(self) -> Figures:
        """How much there is."""
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

    async def epochs(self, partition: int | None = None) -> list[Epoch]:
        """Every claim there ever was, of one partition or of all, in order of (partition, epoch). Epochs begin with 1.

        Written by `claim` itself, ordered with appends. With them `events.epochs` shows that no writers overlapped.
        """
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

    async def strikes(self, least: int) -> dict[tuple[str, str, str], int]:
        """Deaths counted against messages that at least so many hosts died of, by (tenant, stream, message)."""
        ...
