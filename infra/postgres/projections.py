"""Read models in Postgres: rows and cursor in one transaction, builds beside each other, swapped in one."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import msgspec

from events.errors import Conflict, InvalidData, NotFound
from infra.postgres import projections_parking as parking
from infra.postgres import projections_tables as tables
from infra.postgres.connection import Connection, Link, Links
from infra.postgres.errors import FAILURES, translated
from infra.postgres.projections_query import query_sql
from infra.postgres.projections_source import PostgresSource
from projections.core.builds import Plan, plan
from projections.core.definition import Key, Layout, Projection, Row
from projections.core.port import Build, Commit, Decision, Page, ParkedKey, State
from projections.core.query import Query, check_query, next_token

FOLD_TIMEOUT: Final = 120.0
QUERY_TIMEOUT: Final = 30.0
INDEX_TIMEOUT: Final = 24 * 3600.0
"""Seconds a transaction may take."""

_BUILDS: Final = """
select b.projection, b.number, b.version, b.state, b.cursor, b.revision, b.indexed, b.tables,
       (select count(*) from thespis.projection_parked p where p.projection = b.projection and p.number = b.number),
       b.created_at
  from thespis.projection_builds b"""
_ORDERED: Final = f"{_BUILDS} order by b.projection, b.number"
_OF: Final = f"{_BUILDS} where b.projection = $1 order by b.number"
_LOCK: Final = "select pg_advisory_xact_lock(738205, hashtext($1))"
_CREATE: Final = """
insert into thespis.projection_builds (projection, number, version, state, tables, created_at)
values ($1, nextval('thespis.projection_numbers'), $2, $3, $4, $5) returning number"""
_decode_tables = msgspec.json.Decoder(tuple[Layout, ...]).decode


@asynccontextmanager
async def open_read_models(
    dsn: str, *, folders: int = 6, readers: int = 3
) -> AsyncGenerator[tuple[PostgresSource, PostgresReadModels]]:
    """The log as a source, and the read models, of a migrated database.

    `folders` connections fold, `readers` answer queries, so that neither waits for the other.
    """
    folding = Links(dsn, "projections", folders, FOLD_TIMEOUT)
    reading = Links(dsn, "queries", readers, QUERY_TIMEOUT)
    try:
        yield PostgresSource(folding), PostgresReadModels(dsn, folding, reading)
    finally:
        await folding.close()
        await reading.close()


class _Moved(Exception):
    """The build is not at the expected revision."""


class PostgresReadModels:
    """A `ReadModelStore` over connections that its owner closes, see `open_read_models`."""

    def __init__(self, dsn: str, folding: Links, reading: Links) -> None:
        self._dsn = dsn
        self._folding = folding
        self._reading = reading
        self._live: dict[str, Build] = {}
        """The live builds as last seen: a query finds out by itself when one is no longer live."""

    # -- builds
    async def open(self, projection: Projection) -> list[Build]:
        """See `ReadModelStore.open`."""
        builds = await self.builds(projection.name)
        if plan(builds, projection) != Plan(None):
            builds = await self._carry_out(projection, fresh=False)
        return [b for b in builds if b.state != "retired"]

    async def rebuild(self, projection: Projection) -> Build:
        """See `ReadModelStore.rebuild`."""
        builds = await self._carry_out(projection, fresh=True)
        return next((b for b in builds if b.state == "building"), builds[-1])

    async def _carry_out(self, projection: Projection, fresh: bool) -> list[Build]:
        async def work(connection: Connection) -> list[Build]:
            async with connection.transaction():
                await connection.execute("set local lock_timeout = '10s'")
                await connection.execute(_LOCK, projection.name)
                todo = plan(await _builds(connection, projection.name), projection, fresh)
                for number in todo.drop:
                    await _drop(connection, projection.name, number)
                if todo.create is not None:
                    await _create(connection, projection, todo.create)
                return await _builds(connection, projection.name)

        return await self._folding.run(work)

    async def builds(self, projection: str | None = None) -> list[Build]:
        """See `ReadModelStore.builds`."""

        async def work(connection: Connection) -> list[Build]:
            return await _builds(connection, projection)

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

    async def swap(self, build: Build) -> bool:
        """See `ReadModelStore.swap`."""

        async def work(connection: Connection) -> bool:
            async with connection.transaction():
                rows = await connection.fetch(
                    "select number, state, cursor from thespis.projection_builds where projection = $1"
                    " order by number for update",
                    build.projection,
                )
                cursors = {number: cursor for number, state, cursor in rows if state == "live"}
                mine = next((r for r in rows if r[0] == build.number), None)
                if mine is None or mine[1] != "building" or any(c > mine[2] for c in cursors.values()):
                    return False
                for number, state in [*((n, "retired") for n in cursors), (build.number, "live")]:
                    await connection.execute(
                        "update thespis.projection_builds set state = $3 where projection = $1 and number = $2",
                        build.projection,
                        number,
                        state,
                    )
                return True

        return await self._folding.run(work)

    async def drop(self, projection: str, number: int) -> None:
        """See `ReadModelStore.drop`."""

        async def work(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute("set local lock_timeout = '10s'")
                await connection.execute(_LOCK, projection)
                found = next((b for b in await _builds(connection, projection) if b.number == number), None)
                if found is None:
                    raise NotFound(f"projection {projection} has no build {number}")
                if found.state != "retired":
                    raise Conflict(f"build {number} of projection {projection} is {found.state}")
                await _drop(connection, projection, number)

        await self._folding.run(work)

    # -- folding
    async def load(self, build: Build, table: str, keys: Sequence[Key]) -> list[Row]:
        """See `ReadModelStore.load`."""
        layout = next(t for t in build.tables if t.name == table)

        async def work(connection: Connection) -> list[Row]:
            return await tables.load(connection, build.projection, build.number, layout, list(keys))

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
        for _ in range(10):
            build = self._live.get(projection) or await self._look(projection)
            checked = check_query(query, build.tables)
            sql, values = query_sql(projection, build.number, checked)

            async def work(connection: Connection, sql: str = sql, values: list[Any] = values) -> list[Any]:
                try:
                    return await connection.fetch(sql, *values)
                except asyncpg.UndefinedTableError:
                    return []

            records = await self._reading.run(work)
            if not records:  # it was swapped out since it was looked up
                self._live.pop(projection, None)
                continue
            cursor, version = records[0][0], records[0][1]
            found = [r[3:] for r in records if r[2]]
            rows = tables.rows_of(checked.layout, found[: checked.limit])
            following = next_token(checked, rows[-1]) if len(found) > checked.limit else None
            return Page(rows, following, cursor, version)
        raise NotFound(f"projection {projection!r} has no live build that stays")

    async def _look(self, projection: str) -> Build:
        for build in await self.builds(projection):
            if build.state == "live":
                self._live[projection] = build
                return build
        raise NotFound(f"there is no projection {projection!r}", hint="thespis projections list names them")


async def _builds(connection: Connection, projection: str | None) -> list[Build]:
    rows = await (connection.fetch(_ORDERED) if projection is None else connection.fetch(_OF, projection))
    return [_build(row) for row in rows]


def _build(record: Any) -> Build:
    projection, number, version, state, cursor, revision, indexed, declared, parked, created_at = record
    return Build(
        projection, number, version, state, cursor, revision, indexed, _decode_tables(declared), parked, created_at
    )


async def _create(connection: Connection, projection: Projection, state: State) -> None:
    declared = msgspec.json.encode(projection.layouts)
    number: int = await connection.fetchval(
        _CREATE, projection.name, projection.version, state, declared, time.time_ns() // 1000
    )
    for layout in projection.layouts:
        await connection.execute(tables.create_sql(tables.full_name(projection.name, number, layout.name), layout))


async def _drop(connection: Connection, projection: str, number: int) -> None:
    declared = await connection.fetchval(
        "delete from thespis.projection_builds where projection = $1 and number = $2 returning tables",
        projection,
        number,
    )
    for layout in _decode_tables(declared):
        await connection.execute(f"drop table {tables.full_name(projection, number, layout.name)}")
