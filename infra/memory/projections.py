"""Read models in memory: the testing kit's, and the reference the Postgres adapter is held against."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from events.errors import Conflict, InvalidData, NotFound
from infra.memory.projections_query import select
from projections.core.builds import plan
from projections.core.definition import Key, Layout, Projection, Row
from projections.core.port import Build, Commit, Decision, Page, ParkedKey, State
from projections.core.query import Query, check_query

Rows = dict[Key, Row]


class _Kept:
    """One build: its row of the registry, its tables, its parked keys and what they hold."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self.tables: dict[str, Rows] = {layout.name: {} for layout in build.tables}
        self.parked: dict[str, ParkedKey] = {}
        self.held: dict[str, list[int]] = {}


class MemoryReadModels:
    """A `ReadModelStore` that forgets everything with the process. Every call is atomic: none of them waits inside."""

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, int], _Kept] = {}
        self._numbers = itertools.count(1)
        self._decisions: dict[str, list[tuple[int, Decision]]] = {}

    # -- builds
    async def open(self, projection: Projection) -> list[Build]:
        """See `ReadModelStore.open`."""
        return self._plan(projection, fresh=False)

    async def rebuild(self, projection: Projection) -> Build:
        """See `ReadModelStore.rebuild`."""
        builds = self._plan(projection, fresh=True)
        return next((b for b in builds if b.state == "building"), builds[-1])

    def _plan(self, projection: Projection, fresh: bool) -> list[Build]:
        builds = self._builds(projection.name)
        todo = plan(builds, projection, fresh)
        for number in todo.drop:
            del self._kept[projection.name, number]
        if todo.create is not None:
            self._create(projection, todo.create, next(self._numbers))
        return [b for b in self._builds(projection.name) if b.state != "retired"]

    def _create(self, projection: Projection, state: State, number: int) -> None:
        build = Build(
            projection.name, number, projection.version, state, 0, 0, False, projection.layouts, 0, self._clock()
        )
        self._kept[projection.name, number] = _Kept(build)

    async def builds(self, projection: str | None = None) -> list[Build]:
        """See `ReadModelStore.builds`."""
        return self._builds(projection)

    def _builds(self, projection: str | None) -> list[Build]:
        return [
            msgspec.structs.replace(kept.build, parked=len(kept.parked))
            for (name, _), kept in sorted(self._kept.items())
            if projection in (None, name)
        ]

    async def index(self, build: Build) -> None:
        """See `ReadModelStore.index`."""
        kept = self._found(build)
        kept.build = msgspec.structs.replace(kept.build, indexed=True)

    async def swap(self, build: Build) -> bool:
        """See `ReadModelStore.swap`."""
        kept = self._found(build)
        if kept.build.state != "building":
            return False
        live = [k for k in self._kept.values() if k.build.projection == build.projection and k.build.state == "live"]
        if any(k.build.cursor > kept.build.cursor for k in live):
            return False
        for other in live:
            other.build = msgspec.structs.replace(other.build, state="retired")
        kept.build = msgspec.structs.replace(kept.build, state="live")
        return True

    async def drop(self, projection: str, number: int) -> None:
        """See `ReadModelStore.drop`."""
        kept = self._kept.get((projection, number))
        if kept is None:
            raise NotFound(f"projection {projection} has no build {number}")
        if kept.build.state != "retired":
            raise Conflict(f"build {number} of projection {projection} is {kept.build.state}")
        del self._kept[projection, number]

    def _found(self, build: Build) -> _Kept:
        kept = self._kept.get((build.projection, build.number))
        if kept is None:
            raise NotFound(f"projection {build.projection} has no build {build.number}")
        return kept

    # -- folding
    async def load(self, build: Build, table: str, keys: Sequence[Key]) -> list[Row]:
        """See `ReadModelStore.load`."""
        kept = self._kept.get((build.projection, build.number))
        rows = kept.tables[table] if kept is not None else {}
        return [_copy(rows[key]) for key in keys if key in rows]

    async def commit(self, build: Build, commit: Commit) -> Build | None:
        """See `ReadModelStore.commit`."""
        kept = self._kept.get((build.projection, build.number))
        if kept is None or kept.build.revision != build.revision or kept.build.state == "retired":
            return None
        staged = [(kept.tables[c.layout.name], *_staged(kept, c)) for c in commit.changes]
        for rows, new, gone in staged:
            rows.update(new)
            for key in gone:
                rows.pop(key, None)
        self._park(kept, commit)
        kept.build = msgspec.structs.replace(
            kept.build, cursor=commit.cursor, revision=build.revision + 1, parked=len(kept.parked)
        )
        return kept.build

    def _park(self, kept: _Kept, commit: Commit) -> None:
        build, now = kept.build, self._clock()
        for poison in commit.poisoned:
            since = kept.parked[poison.key].since if poison.key in kept.parked else now
            kept.parked[poison.key] = ParkedKey(
                build.projection, build.number, poison.key, poison.position, poison.error, 0, since
            )
            kept.held.setdefault(poison.key, [])
        for item in commit.held:
            kept.held.setdefault(item.key, []).append(item.position)
        for item in commit.released:
            kept.held[item.key].remove(item.position)
        for key in [key for key, positions in kept.held.items() if not positions]:
            del kept.held[key]
            kept.parked.pop(key, None)
        if commit.decision is not None:
            self._decisions.setdefault(build.projection, []).insert(0, (now, commit.decision))

    # -- parked keys
    async def parked(self, build: Build) -> list[ParkedKey]:
        """See `ReadModelStore.parked`."""
        kept = self._kept.get((build.projection, build.number))
        if kept is None:
            return []
        return [msgspec.structs.replace(p, held=len(kept.held[key])) for key, p in sorted(kept.parked.items())]

    async def held(self, build: Build, key: str, limit: int) -> list[int]:
        """See `ReadModelStore.held`."""
        kept = self._kept.get((build.projection, build.number))
        return sorted(kept.held.get(key, ()))[:limit] if kept is not None else []

    async def decisions(self, projection: str, limit: int = 100) -> list[tuple[int, Decision]]:
        """See `ReadModelStore.decisions`."""
        return self._decisions.get(projection, [])[:limit]

    # -- reading
    async def query(self, projection: str, query: Query) -> Page:
        """See `ReadModelStore.query`."""
        for kept in self._kept.values():
            if kept.build.projection == projection and kept.build.state == "live":
                checked = check_query(query, kept.build.tables)
                rows, following = select(checked, kept.tables[checked.layout.name].values())
                return Page([_copy(r) for r in rows], following, kept.build.cursor, kept.build.version)
        raise NotFound(f"there is no projection {projection!r}", hint="thespis projections list names them")


def _staged(kept: _Kept, change: Any) -> tuple[Rows, list[Key]]:
    layout: Layout = change.layout
    names = [c.name for c in layout.columns]
    rows = kept.tables[layout.name]
    new: Rows = {}
    for inserted, group in ((True, change.inserts), (False, change.puts)):
        for values in group:
            row = dict(zip(names, values, strict=True))
            key = tuple(row[k] for k in layout.key)
            if inserted and (key in rows or key in new):
                raise InvalidData(f"{layout.name}: row {key!r} exists already")
            new[key] = _copy(row)
    return new, list(change.deletes)


def _copy(row: Row) -> Row:
    """A row as a database would give it back: nothing shared with the caller."""
    return {
        name: msgspec.json.decode(msgspec.json.encode(value)) if isinstance(value, dict | list) else value
        for name, value in row.items()
    }
