"""Migrations: numbered SQL files beside this module, forward only, each applied once and in one transaction.

A file is `migrations/NNNN_name.sql`; adding one is all it takes. What was applied is never edited: its checksum is
kept.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from events.errors import Conflict, Unavailable
from infra.postgres.connection import OLDEST, Connection, connect, place
from infra.postgres.errors import FAILURES, translated

FOLDER: Final = Path(__file__).with_name("migrations")
_LOCK: Final = 8390881627149363
_BEGIN: Final = """
create schema if not exists thespis;
create table thespis.migrations (
  number integer primary key, name text not null, checksum text not null, applied_at timestamptz not null default now()
)"""
_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(msgspec.Struct, frozen=True):
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's text."""
        return sha256(self.sql.encode()).hexdigest()


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """The files, by number. Raises Conflict when two share one."""
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise Conflict(f"{path.name} is not a migration's name", hint="call it NNNN_name.sql")
        number = int(match[1])
        if number in found:
            raise Conflict(f"two migrations have the number {number:04}: {found[number].name} and {match[2]}")
        found[number] = Migration(number, match[2], path.read_text("utf-8"))
    return [found[n] for n in sorted(found)]


async def migrate(dsn: str, folder: Path = FOLDER) -> list[int]:
    """Bring the database up to this code; several may try at once. Returns the numbers applied now.

    Raises Conflict when the database is newer than this code or a migration was edited after it was applied, and
    StoreUnavailable when Postgres does not answer, is too old, or refuses.
    """
    try:
        connection = await connect(dsn, "migrate")
        try:
            return await _migrate(connection, migrations(folder), place(dsn))
        finally:
            await connection.close(timeout=2.0)
    except FAILURES as error:
        raise translated(error, place(dsn)) from error


async def _migrate(connection: Connection, known: list[Migration], where: str) -> list[int]:
    version = int(await connection.fetchval("select current_setting('server_version_num')"))
    if version < OLDEST:
        raise Unavailable(
            f"PostgreSQL {version // 10000} is too old ({where})",
            hint=f"PostgreSQL {OLDEST // 10000} or newer is needed",
        )
    await connection.execute("select pg_advisory_lock($1)", _LOCK)
    if await connection.fetchval("select to_regclass('thespis.migrations')") is None:
        await connection.execute(_BEGIN)
    applied = {
        number: (name, checksum)
        for number, name, checksum in await connection.fetch("select number, name, checksum from thespis.migrations")
    }
    newest = known[-1].number if known else 0
    if applied and max(applied) > newest:
        raise Conflict(
            f"the database is at migration {max(applied):04}, this thespis knows only up to {newest:04} ({where})",
            hint="upgrade thespis; a newer database is not taken back",
        )
    await connection.execute("set search_path = thespis; set client_min_messages = warning")
    done: list[int] = []
    for migration in known:
        if migration.number in applied:
            if applied[migration.number][1] != migration.checksum:
                raise Conflict(
                    f"migration {migration.number:04}_{migration.name} is not the one that was applied ({where})",
                    hint="restore the file, and put the change into a new migration",
                )
            continue
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "insert into thespis.migrations (number, name, checksum) values ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.checksum,
            )
        done.append(migration.number)
    return done
