"""Migrations of the database: once each, in order, never back, never edited."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest

from events.errors import Conflict, StoreUnavailable
from infra.postgres.migrate import FOLDER, migrate, migrations


async def query(dsn: str, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(FOLDER / "0001_log.sql", tmp_path)
    return tmp_path


async def test_a_new_database_is_brought_up_once(postgres_url: str) -> None:
    numbers = [m.number for m in migrations()]
    assert numbers[0] == 1
    assert await migrate(postgres_url) == numbers
    assert await migrate(postgres_url) == []


async def test_everything_lives_in_one_schema(postgres_url: str) -> None:
    await migrate(postgres_url)
    rows = await query(
        postgres_url, "select schemaname from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
    )
    assert {row[0] for row in rows} == {"thespis"}


async def test_hosts_that_start_together_migrate_once(postgres_url: str) -> None:
    applied = await asyncio.gather(*(migrate(postgres_url) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(migrations())]


async def test_a_file_added_later_is_applied(postgres_url: str, folder: Path) -> None:
    assert await migrate(postgres_url, folder) == [1]
    (folder / "0007_more.sql").write_text("create table more (n integer); insert into more values (7);")
    assert await migrate(postgres_url, folder) == [7]
    assert (await query(postgres_url, "select n from thespis.more"))[0][0] == 7


async def test_a_migration_that_fails_leaves_nothing_and_can_be_mended(postgres_url: str, folder: Path) -> None:
    bad = folder / "0002_bad.sql"
    bad.write_text("create table half (n integer); select * from nowhere;")
    with pytest.raises(StoreUnavailable, match="nowhere"):
        await migrate(postgres_url, folder)
    bad.write_text("create table half (n integer);")
    assert await migrate(postgres_url, folder) == [2]


async def test_a_newer_database_is_refused(postgres_url: str, folder: Path) -> None:
    (folder / "0042_future.sql").write_text("create table future (n integer);")
    await migrate(postgres_url, folder)
    (folder / "0042_future.sql").unlink()
    with pytest.raises(Conflict, match="at migration 0042, this thespis knows only up to 0001") as caught:
        await migrate(postgres_url, folder)
    assert "upgrade" in caught.value.hint


async def test_an_edited_migration_is_refused(postgres_url: str, folder: Path) -> None:
    await migrate(postgres_url, folder)
    with (folder / "0001_log.sql").open("a") as file:
        file.write("-- one more thought\n")
    with pytest.raises(Conflict, match="0001_log is not the one that was applied"):
        await migrate(postgres_url, folder)


def test_names_and_numbers_are_checked(folder: Path) -> None:
    (folder / "0001_again.sql").write_text("")
    with pytest.raises(Conflict, match="two migrations have the number 0001"):
        migrations(folder)
    (folder / "0001_again.sql").rename(folder / "later.sql")
    with pytest.raises(Conflict, match=r"later\.sql is not a migration's name"):
        migrations(folder)
