"""Read models in memory: the testing kit's, and the reference the Postgres adapter is held against."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from typing import Any, Final

import msgspec

from events.errors import Conflict, InvalidData, NotFound
from infra.memory.projections_query import select
from projections.core.builds import plan
from projections.core.definition import Key, Layout, Projection, Row
from projections.core.port import Build, Commit, Decision, Page, ParkedKey, State, Switch
from projections.core.query import Query, build_gone, check_query, wanted_build

Rows = dict[Key, Row]
FREEZE_TIMEOUT: Final = 15.0
"""Seconds a build may be frozen."""


class _Kept:
    """One build: its row of the registry, its tables, its parked keys and what they hold."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self.tables: dict[str, Rows] = {layout.name: {} for layout in build.tables}
        self.parked: dict[str, ParkedKey] = {}
        self.held: dict[str, list[int]] = {}
        self.frozen: _Frozen | None = None

    def change(self, **fields: Any) -> None:
        self.build = msgspec.structs.replace(self.build, **fields)

    async def thawed(self) -> None:
        """Wait until something may be stored; whoever froze it and is never heard of again has so long only."""
        while (frozen := self.frozen) is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(frozen.until):
                    await frozen.over.wait()
            if self.frozen is frozen:
                self.frozen = None


class _Frozen:
    def __init__(self, models: MemoryReadModels, kept: _Kept) -> None:
        self._models = models
        self._kept = kept
        self.until = asyncio.get_running_loop().time() + FREEZE_TIMEOUT
        self.over = asyncio.Event()

    @property
    def live(self) -> Build:
        return self._kept.build

    async def switch(self, to: int, switch: Switch, *, kept_until: int, declined: int) -> bool:
        """See `Frozen.switch`."""
        mine = self._kept.frozen is self
        return mine and self._models.carry_out(self._kept, to, switch, kept_until, declined)


class MemoryReadModels:
    """A `ReadModelStore` that forgets everything with the process.

    Every call is atomic: none of them waits inside, but for a commit while its build is frozen.
    """

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, int], _Kept] = {}
        self._numbers = itertools.count(1)
        self._decisions: dict[str, list[tuple[int, Decision]]] = {}
        self._switches: list[Switch] = []

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
        return self._builds(projection.name)

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
        self._found(build.projection, build.number).change(indexed=True)

    async def drop(self, projection: str, number: int) -> None:
        """See `ReadModelStore.drop`."""
        if self._found(projection, number).build.state == "live":
            raise Conflict(f"build {number} of projection {projection} is live")
        del self._kept[projection, number]

    # -- switching
    @asynccontextmanager
    async def frozen(self, projection: str) -> AsyncGenerator[_Frozen]:
        """See `ReadModelStore.frozen`."""
        while True:
            kept = self._live(projection)
            await kept.thawed()
            if kept.build.state == "live" and kept.frozen is None:
                break
        kept.frozen = frozen = _Frozen(self, kept)
        try:
            yield frozen
        finally:
            frozen.over.set()
            if kept.frozen is frozen:
                kept.frozen = None

    def carry_out(self, live: _Kept, to: int, switch: Switch, kept_until: int, declined: int) -> bool:
        """The switch itself."""
        kept = self._kept.get((live.build.projection, to))
        if kept is None or kept.build.state == "live" or kept.build.cursor != live.build.cursor:
            return False
        live.change(state="standby", kept_until=kept_until, revision=live.build.revision + 1, declined=0, note="")
        kept.change(state="live", kept_until=0, revision=kept.build.revision + 1, declined=declined, note="")
        self._switches.insert(0, switch)
        return True

    async def set_aside(self, build: Build, note: str, kept_until: int) -> None:
        """See `ReadModelStore.set_aside`."""
        kept = self._found(build.projection, build.number)
        if kept.build.state == "building":
            kept.change(state="standby", note=note, kept_until=kept_until)

    async def sample(self, build: Build, table: str, size: int) -> list[Key]:
        """See `ReadModelStore.sample`."""
        return sorted(self._found(build.projection, build.number).tables[table], key=_digest)[:size]

    async def digests(self, build: Build, table: str, columns: Sequence[str], keys: Sequence[Key]) -> Mapping[Key, str]:
        """See `ReadModelStore.digests`."""
        rows = self._found(build.projection, build.number).tables[table]
        return {key: _digest([rows[key][name] for name in columns]) for key in keys if key in rows}

    async def switches(
        self, projection: str | None = None, limit: int = 100, *, unrecorded: bool = False
    ) -> list[Switch]:
        """See `ReadModelStore.switches`."""
        found = (s for s in self._switches if projection in (None, s.projection))
        return [s for s in found if s.recorded is None or not unrecorded][:limit]

    async def recorded(self, switch: str, position: int) -> None:
        """See `ReadModelStore.recorded`."""
        self._switches = [
            msgspec.structs.replace(s, recorded=position) if s.id == switch else s for s in self._switches
        ]

    def _live(self, projection: str) -> _Kept:
        for kept in self._kept.values():
            if kept.build.projection == projection and kept.build.state == "live":
                return kept
        raise NotFound(f"there is no projection {projection!r}", hint="`thespis projections list` names them")

    def _found(self, projection: str, number: int) -> _Kept:
        kept = self._kept.get((projection, number))
        if kept is None:
            raise build_gone(projection, number, None)
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
        if kept is None:
            return None
        if kept.frozen is not None:
            await kept.thawed()
        if kept.build.revision != build.revision:
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
        kept = self._live(projection)
        number, version = wanted_build(query)
        if number is not None and number != kept.build.number:
            if (projection, number) in self._kept:
                kept = self._kept[projection, number]
            elif kept.build.version != version:
                raise build_gone(projection, number, version)
        build = kept.build
        checked = check_query(query, build.tables)
        rows, following = select(checked, kept.tables[checked.layout.name].values(), build)
        return Page([_copy(r) for r in rows], following, build.cursor, build.version, build.number, build.state)


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


def _digest(values: Sequence[Any]) -> str:
    return blake2b(msgspec.json.encode(values, order="deterministic"), digest_size=16).hexdigest()


def _copy(row: Row) -> Row:
    """A row as a database would give it back: nothing shared with the caller."""
    return {
        name: msgspec.json.decode(msgspec.json.encode(value)) if isinstance(value, dict | list) else value
        for name, value in row.items()
    }
