"""The ports of projections: where events are read, and where rows and cursors are kept.

One contract suite (`tests/contract/test_projection*.py`) runs against every adapter of `ReadModelStore`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

import msgspec

from events.envelope import Event
from projections.core.comparison import Comparison
from projections.core.definition import Key, Layout, Projection, Row
from projections.core.query import Query
from projections.core.rows import Change

State = Literal["live", "building", "standby"]
"""`live` is what readers see, `building` is on its way there, `standby` is kept so that it can be switched to."""


class Build(msgspec.Struct, frozen=True):
    """One set of tables of a projection, and how far they are.

    `number` counts the builds of a projection, `version` is that of the code that folds it. `cursor` is the last
    position folded in. `revision` grows with every commit: it is what commits compare and set. `indexed` says whether
    the secondary indexes exist; they are made once, when the build has caught up for the first time.
    """

    projection: str
    number: int
    version: int
    state: State
    cursor: int
    revision: int
    indexed: bool
    tables: tuple[Layout, ...]
    parked: int = 0
    """How many keys are parked."""
    created_at: int = 0
    """Microseconds since 1970, UTC, by the store's clock."""
    kept_until: int = 0
    """Of a standby: when it is dropped (µs)."""
    note: str = ""
    """Of a standby: why it did not become live, if that was refused."""
    declined: int = 0
    """Of the live one: the version a person switched away from. Up to that one, none is built without being asked."""


class Poisoned(msgspec.Struct, frozen=True, gc=False):
    """An event that could not be folded: from here on its key is parked."""

    key: str
    position: int
    error: str


class Held(msgspec.Struct, frozen=True, gc=False):
    """An event that waits because its key is parked. A poisoned event is the first one held."""

    key: str
    position: int


class Decision(msgspec.Struct, frozen=True):
    """What a person decided about a parked key, kept with the projection: `retry` or `discard`, and why."""

    key: str
    action: Literal["retry", "discard"]
    by: str
    reason: str
    events: int


class ParkedKey(msgspec.Struct, frozen=True):
    """A parked key of the live build: the event it stopped at and why, how many events wait, since when (µs)."""

    projection: str
    build: int
    key: str
    position: int
    error: str
    held: int
    since: int


class Commit(msgspec.Struct):
    """Everything one transaction changes besides the cursor it sets. Keys without held events cease to be parked."""

    cursor: int
    changes: Sequence[Change] = ()
    poisoned: Sequence[Poisoned] = ()
    held: Sequence[Held] = ()
    released: Sequence[Held] = ()
    decision: Decision | None = None


class Page(msgspec.Struct, frozen=True):
    """Rows of one build. `next` continues after them in the same build, or is None at the end.

    `cursor` is how far the rows are, `state` is that of the build when they were read.
    """

    rows: list[Row]
    next: str | None
    cursor: int
    version: int
    build: int
    state: State


class Switch(msgspec.Struct, frozen=True):
    """Readers were switched from one build to another, both at `position`: what is told to the log, once.

    `id` is that of the event, `at` is when (µs), `recorded` the event's position in the log, or None until it is there.
    """

    id: str
    projection: str
    from_build: int
    from_version: int
    to_build: int
    to_version: int
    position: int
    comparison: Comparison
    by: str
    reason: str
    at: int
    recorded: int | None = None


class Source(Protocol):
    """The log, as projections read it. Raises StoreUnavailable."""

    async def head(self) -> int:
        """The last position that can be read."""
        ...

    async def read(
        self, after: int, upto: int, columns: Sequence[str], types: Sequence[str] | None, data_of: Sequence[str] | None
    ) -> list[Event]:
        """The events with `after` < position <= `upto` (at most the head), ascending; of `types` only, if given.

        They have the attributes named in `columns`, in the envelope's order, and no others. `data` may be left None
        for types not in `data_of`, when that is given.
        """
        ...

    async def at(self, positions: Sequence[int], columns: Sequence[str]) -> list[Event]:
        """The events at these positions, ascending; those that do not exist are left out."""
        ...


class Frozen(Protocol):
    """The live build while nobody can store anything in it. Readers are not held up."""

    @property
    def live(self) -> Build:
        """It, at the position where it stands."""
        ...

    async def switch(self, to: int, switch: Switch, *, kept_until: int, declined: int) -> bool:
        """Make build `to` the live one and write that down, if it stands at the same position; else False.

        The one before becomes a standby. Both get a new revision, so that what was on its way to them is not stored.
        """
        ...


class ReadModelStore(Protocol):
    """Rows and cursors. All methods raise StoreUnavailable; whether a commit happened is then not known."""

    # -- builds
    async def open(self, projection: Projection) -> list[Build]:
        """Make sure there is a build of the projection's version if there has to be one, and return all its builds.

        The first build is live at once; that of a higher version is a building one beside the live one. When the live
        one is of a higher version nothing is made. Raises BadDefinition when tables changed without a new version.
        """
        ...

    async def rebuild(self, projection: Projection) -> Build:
        """Begin a new build beside the live one, of the same version; returns the one under way if there is one.

        Raises Conflict when the live one is of a higher version.
        """
        ...

    async def builds(self, projection: str | None = None) -> list[Build]:
        """All builds, of one projection or of all, by name and number."""
        ...

    async def index(self, build: Build) -> None:
        """Create the secondary indexes of a build. Readers are not blocked."""
        ...

    async def drop(self, projection: str, number: int) -> None:
        """Remove a build and its tables. Raises NotFound, or Conflict when it is the live one."""
        ...

    # -- switching
    def frozen(self, projection: str) -> AbstractAsyncContextManager[Frozen]:
        """Let nobody store anything in the live build for as long as the block lasts, at most some seconds.

        Raises NotFound when there is none. Leaving the block without `switch` changes nothing.
        """
        ...

    async def set_aside(self, build: Build, note: str, kept_until: int) -> None:
        """Make a building build a standby."""
        ...

    async def sample(self, build: Build, table: str, size: int) -> list[Key]:
        """Keys of `size` rows (all, if there are fewer), chosen by a hash of the key: equal tables give equal keys."""
        ...

    async def digests(self, build: Build, table: str, columns: Sequence[str], keys: Sequence[Key]) -> Mapping[Key, str]:
        """A digest of these columns of the rows of these keys that exist."""
        ...

    async def switches(
        self, projection: str | None = None, limit: int = 100, *, unrecorded: bool = False
    ) -> list[Switch]:
        """What was switched, newest first; only what the log was not told yet, if asked."""
        ...

    async def recorded(self, switch: str, position: int) -> None:
        """The event of the switch of that id is in the log at `position`."""
        ...

    # -- folding
    async def load(self, build: Build, table: str, keys: Sequence[Key]) -> list[Row]:
        """The rows of those keys that exist, in any order."""
        ...

    async def commit(self, build: Build, commit: Commit) -> Build | None:
        """Write everything and the cursor in one transaction, if the build is still at `build.revision`; else nothing,
        and None.

        Raises InvalidData when a row does not fit its table, or an inserted one exists.
        """
        ...

    # -- parked keys
    async def parked(self, build: Build) -> list[ParkedKey]:
        """Its parked keys, by key."""
        ...

    async def held(self, build: Build, key: str, limit: int) -> list[int]:
        """Positions that wait for a key, ascending, at most `limit`."""
        ...

    async def decisions(self, projection: str, limit: int = 100) -> list[tuple[int, Decision]]:
        """What people decided, newest first, each with its time (µs)."""
        ...

    # -- reading
    async def query(self, projection: str, query: Query) -> Page:
        """Rows of the live build (or of `query.build`, or of the build of the page before), all of one moment.

        Raises NotFound for an unknown projection or build, InvalidData for a query that does not fit its tables, and
        Conflict when the build of the page before is gone and the live one is of another version.
        """
        ...
