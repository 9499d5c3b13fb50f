"""Read models in Postgres: rows and cursor in one transaction, builds beside each other, swapped in one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import asyncpg
import msgspec

from events.errors import Conflict, InvalidData, NotFound
from infra.postgres import projections_builds as registry
from infra.postgres import projections_parking as parking
from infra.postgres import projections_switching as switching
from infra.postgres import projections_tables as tables
from infra.postgres.connection import Connection, Link, Links
from infra.postgres.errors import FAILURES, translated
from infra.postgres.projections_query import query_sql
from infra.postgres.projections_source import PostgresSource
from projections.core.builds import Plan, plan
from projections.core.definition import Key, Layout, Projection, Row
from projections.core.port import Build, Commit, Decision, Page, ParkedKey, Switch
from projections.core.query import Query, build_gone, check_query, next_token, wanted_build

FOLD_TIMEOUT: Final = 120.0
QUERY_TIMEOUT: Final = 30.0
INDEX_TIMEOUT: Final = 24 * 3600.0
FREEZE_TIMEOUT: Final = 15.0
"""Seconds a transaction may take."""

_LOCK: Final = "select pg_advisory_xact_lock(738205, hashtext($1))"


@asynccontextmanager
async def open_read_models(
    dsn: str, *, folders: int = 6, readers: int = 3
) -> AsyncGenerator[tuple[PostgresSource, PostgresReadModels]]:
    """The log as a source, and the read models, of a migrated database.

    `folders` connections fold, `readers` answer queries, so that neither waits for the other.
    """
    folding = Links(dsn, "projections", folders, FOLD_TIMEOUT)
    reading = Links(dsn, "queries", readers, QUERY_TIMEOUT)
    freezing = Links(dsn, "switches", 2, FREEZE_TIMEOUT)
    try:
        yield PostgresSource(folding), PostgresReadModels(dsn, folding, reading, freezing)
    finally:
        for links in (folding, reading, freezing):
            await links.close()


class _Moved(Exception):
    """The build is not at the expected revision."""


class PostgresReadModels:
    """A `ReadModelStore` over connections that its owner closes, see `open_read_models`."""

    def __init__(self, dsn: str, folding: Links, reading: Links, freezing: Links) -> None:
        self._dsn = dsn
        self._folding = folding
        self._reading = reading
        self._freezing = freezing
        self._live: dict[str, Build] = {}
        self._others: dict[tuple[str, int], Build] = {}
        """Builds as last seen: a query finds out by itself when one is no longer live, or gone."""

    # -- builds
    async def open(self, projection: Projection) -> list[Build]:
        """See `ReadModelStore.open`."""
        builds = await self.builds(projection.name)
        if plan(builds, projection) != Plan(None):
            builds = await self._carry_out(projection, fresh=False)
        return builds

    async def rebuild(self, projection: Projection) -> Build:
        """See `ReadModelStore.rebuild`."""
        builds = await self._carry_out(projection, fresh=True)
        return next((b for b in builds if b.state == "building"), builds[-1])

    async def _carry_out(self, projection: Projection, fresh: bool) -> list[Build]:
        async def work(connection: Connection) -> list[Build]:
            async with connection.transaction():
                await connection.execute("set local lock_timeout = '10s'")
                await connection.execute(_LOCK, projection.name)
                todo = plan(await registry.builds(connection, projection.name), projection, fresh)
                for number in todo.drop:
                    await registry.drop(connection, projection.name, number)
                if todo.create is not None:
                    await registry.create(connection, projection, todo.create)
                return await registry.builds(connection, projection.name)

        return await self._folding.run(work)

    async def builds(self, projection: str | None = None) -> list[Build]:
        """See `ReadModelStore.builds`."""

        async def work(connection: Connection) -> list[Build]:
            return await registry.builds(connection, projection)

        return await self._reading.run(work)

    async def index(self, build: Build) -> None:
        """See `ReadModelStore.index`. All in one transaction: after a crash there are none or all."""
        link = Link(self._dsn, "projection indexes", INDEX_TIMEOUT)
        try:
            connection = await link.get()
            async with connection.transaction():
                await connection.execute("set local maintenance_work_mem = '256MB'")
                for layout in build.tables:
                    name = tables.full_name(build.projection, build.number, layout.name)
                    for sql in tables.index_sql(name, layout):
                        await connection.execute(sql)
                    await connection.execute(f"analyze {name}")
                await connection.execute(
                    "update thespis.projection_builds set indexed = true where projection = $1 and number = $2",
                    build.projection,
                    build.number,
                )
        except FAILURES as error:
            raise translated(error, link.place) from error
        finally:
            await link.close()

    async def drop(self, projection: str, number: int) -> None:
        """See `ReadModelStore.drop`."""

        async def work(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute("set local lock_timeout = '10s'")
                await connection.execute(_LOCK, projection)
                state = await registry.state(connection, projection, number)
                if state is None:
                    raise build_gone(projection, number, None)
                if state == "live":
                    raise Conflict(f"build {number} of projection {projection} is live")
                await registry.drop(connection, projection, number)

        await self._folding.run(work)

    # -- switching
    def frozen(self, projection: str) -> AbstractAsyncContextManager[switching.Frozen]:
        """See `ReadModelStore.frozen`. The row of the live build is locked: commits, which update it, wait."""
        return switching.frozen(self._freezing, projection)

    async def set_aside(self, build: Build, note: str, kept_until: int) -> None:
        """See `ReadModelStore.set_aside`."""

        async def work(connection: Connection) -> None:
            await switching.set_aside(connection, build, note, kept_until)

        await self._folding.run(work)

    async def sample(self, build: Build, table: str, size: int) -> list[Key]:
        """See `ReadModelStore.sample`."""

        async def work(connection: Connection) -> list[Key]:
            return await tables.sample(connection, build.projection, build.number, _layout(build, table), size)

        return await self._folding.run(work)

    async def digests(self, build: Build, table: str, columns: Sequence[str], keys: Sequence[Key]) -> Mapping[Key, str]:
        """See `ReadModelStore.digests`."""

        async def work(connection: Connection) -> dict[Key, str]:
            layout = _layout(build, table)
            return await tables.digests(connection, build.projection, build.number, layout, columns, keys)

        return await self._folding.run(work)

    async def switches(
        self, projection: str | None = None, limit: int = 100, *, unrecorded: bool = False
    ) -> list[Switch]:
        """See `ReadModelStore.switches`."""

        async def work(connection: Connection) -> list[Switch]:
            return await switching.switches(connection, projection, limit, unrecorded)

        return await self._reading.run(work)

    async def recorded(self, switch: str, position: int) -> None:
        """See `ReadModelStore.recorded`."""

        async def work(connection: Connection) -> None:
            await switching.recorded(connection, switch, position)

        await self._folding.run(work)

    # -- folding
    async def load(self, build: Build, table: str, keys: Sequence[Key]) -> list[Row]:
        """See `ReadModelStore.load`."""

        async def work(connection: Connection) -> list[Row]:
            return await tables.load(connection, build.projection, build.number, _layout(build, table), list(keys))

        return await self._folding.run(work)

    async def commit(self, build: Build, commit: Commit) -> Build | None:
        """See `ReadModelStore.commit`."""

        place = (build.projection, build.number, commit.cursor, build.revision)
        simple = None if parking.concerns(commit) else tables.at_once(build.projection, build.number, commit.changes)

        async def work(connection: Connection) -> int:
            try:
                if simple is not None:
                    sql, values = simple
                    if (await connection.execute(sql, *place, *values)).endswith(" 0"):
                        raise _Moved
                    return 0
                async with connection.transaction():
                    if await connection.execute(tables.MOVE, *place) != "UPDATE 1":
                        raise _Moved
                    for change in commit.changes:
                        await tables.write(connection, build.projection, build.number, change)
                    return await parking.write(connection, build, commit)
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError) as error:
                raise InvalidData(f"Postgres cannot store this: {error}") from error

        try:
            change = await self._folding.run(work)
        except _Moved:
            return None
        return msgspec.structs.replace(
            build, cursor=commit.cursor, revision=build.revision + 1, parked=build.parked + change
        )

    # -- parked keys
    async def parked(self, build: Build) -> list[ParkedKey]:
        """See `ReadModelStore.parked`."""

        async def work(connection: Connection) -> list[ParkedKey]:
            return await parking.parked(connection, build)

        return await self._reading.run(work)

    async def held(self, build: Build, key: str, limit: int) -> list[int]:
        """See `ReadModelStore.held`."""

        async def work(connection: Connection) -> list[int]:
            return await parking.held(connection, build, key, limit)

        return await self._reading.run(work)

    async def decisions(self, projection: str, limit: int = 100) -> list[tuple[int, Decision]]:
        """See `ReadModelStore.decisions`."""

        async def work(connection: Connection) -> list[tuple[int, Decision]]:
            return await parking.decisions(connection, projection, limit)

        return await self._reading.run(work)

    # -- reading
    async def query(self, projection: str, query: Query) -> Page:
        """See `ReadModelStore.query`."""
        number, version = wanted_build(query)
        for _ in range(10):
            build = self._live.get(projection) or await self._look(projection)
            if number not in (None, build.number):
                build = await self._other(projection, number, version)
            live = build.number != number
            checked = check_query(query, build.tables)
            sql, values = query_sql(projection, build.number, checked, live)

            async def work(connection: Connection, sql: str = sql, values: list[Any] = values) -> list[Any]:
                try:
                    return await connection.fetch(sql, *values)
                except asyncpg.UndefinedTableError:
                    return []

            records = await self._reading.run(work)
            if not records:  # another build took its place since it was looked up, or it was dropped
                self._live.pop(projection, None)
                self._others.pop((projection, build.number), None)
                continue
            cursor, version_read, state = records[0][:3]
            found = [r[4:] for r in records if r[3]]
            rows = tables.rows_of(checked.layout, found[: checked.limit])
            more = len(found) > checked.limit
            following = next_token(checked, rows[-1], build.number, build.version) if more else None
            return Page(rows, following, cursor, version_read, build.number, state)
        raise NotFound(f"projection {projection!r} has no live build that stays")

    async def _look(self, projection: str) -> Build:
        for build in await self.builds(projection):
            if build.state == "live":
                self._live[projection] = build
                return build
        raise NotFound(f"there is no projection {projection!r}", hint="`thespis projections list` names them")

    async def _other(self, projection: str, number: int, version: int | None) -> Build:
        """A build that is not the live one; the live one in its stead if it is gone and of the same version."""
        known = self._others.get((projection, number))
        if known is not None:
            return known
        for build in await self.builds(projection):
            if build.number == number:
                self._others[projection, number] = build
                return build
        live = await self._look(projection)
        if live.version != version:
            raise build_gone(projection, number, version)
        return live


def _layout(build: Build, table: str) -> Layout:
    return next(layout for layout in build.tables if layout.name == table)
