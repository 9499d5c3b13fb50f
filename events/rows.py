"""What the store gives back besides events: rows that wait, shortcuts, and who owns what."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


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
    told: int = 0
    """How many tells its decision sent."""


class Pruned(msgspec.Struct, frozen=True):
    """What `EventStore.prune` took away: messages with a row of their own deleted, messages from outside expired (their
    ids stay), bodies nobody refers to, strikes, state hashes."""

    deleted: int = 0
    expired: int = 0
    blobs: int = 0
    strikes: int = 0
    hashes: int = 0


class Figures(msgspec.Struct, frozen=True):
    """How much there is. `rows` and `bytes` are by table (bytes with indexes; rows may be estimates).

    `archived` events are in the archive, none beyond position `archived_upto`. `horizon` (µs): messages handled before
    may be forgotten; 0 if none was ever.
    """

    head: int
    archived: int
    archived_upto: int
    horizon: int
    rows: dict[str, int]
    bytes: dict[str, int]


class HostRow(msgspec.Struct, frozen=True, gc=False):
    """A host as the store sees it. `alive` is judged by the store's own clock."""

    id: str
    alive: bool
    started_at: int
    info: bytes


class Epoch(msgspec.Struct, frozen=True, gc=False):
    """A claim of a partition: its events under `epoch` all lie beyond `position`, the head of the log at the claim.

    `claimed_at` is microseconds since 1970, by the store's clock.
    """

    partition: int
    epoch: int
    owner: str
    position: int
    claimed_at: int


class Lease(msgspec.Struct, frozen=True, gc=False):
    """Who owns a partition (None: nobody), and under which epoch."""

    partition: int
    owner: str | None
    epoch: int
