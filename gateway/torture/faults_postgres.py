"""What happens to Postgres: it dies, it refuses, others use it too."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from infra.embedded.postgres import EmbeddedPostgres
from infra.postgres.connection import Connection, connect


async def kill(postgres: EmbeddedPostgres) -> None:
    """SIGKILL to every process of it, and start it again."""
    await postgres.kill()
    await postgres.start()


async def immediate(postgres: EmbeddedPostgres) -> None:
    """An immediate shutdown (SIGQUIT): no checkpoint, every connection dropped; then start it again."""
    assert postgres.process is not None
    await postgres.process.stop((signal.SIGQUIT, 20.0))
    await postgres.start()


@asynccontextmanager
async def session(url: str, *commands: str) -> AsyncGenerator[Connection]:
    """Somebody else's connection on which these commands ran, left as it is until the block ends."""
    connection = await connect(url, "stranger")
    try:
        for command in commands:
            await connection.execute(command)
        yield connection
    finally:
        connection.terminate()


def database(url: str, name: str) -> str:
    """The same server and user, another database."""
    return f"{url.rpartition('/')[0]}/{name}"


@asynccontextmanager
async def idle_in_transaction(postgres: EmbeddedPostgres) -> AsyncGenerator[Connection]:
    """A stranger who has read the log and written a table of his own, and does not go home."""
    async with session(
        postgres.url,
        "create table if not exists strangers (n integer)",
        "begin",
        "select count(*) from thespis.events",
        "insert into strangers values (1)",
    ) as connection:
        yield connection


@asynccontextmanager
async def foreign_write(postgres: EmbeddedPostgres) -> AsyncGenerator[Connection]:
    """A transaction that has written in another database of the same server and stays open."""
    async with session(
        database(postgres.admin_url, "postgres"),
        "create table if not exists foreign_table (n integer)",
        "begin",
        "insert into foreign_table values (1)",
    ) as connection:
        yield connection


@asynccontextmanager
async def long_snapshot(postgres: EmbeddedPostgres) -> AsyncGenerator[Connection]:
    """A snapshot held open, as a dump does: nothing that dies meanwhile can be cleaned up."""
    async with session(
        postgres.url, "begin isolation level repeatable read", "select count(*) from thespis.events"
    ) as connection:
        yield connection


@asynccontextmanager
async def read_only(postgres: EmbeddedPostgres) -> AsyncGenerator[None]:
    """Every transaction that begins is read-only, as on a standby or while an operator says so."""
    async with session(database(postgres.admin_url, "postgres")) as admin:
        await admin.execute("alter system set default_transaction_read_only = on")
        await admin.execute("select pg_reload_conf()")
        try:
            yield
        finally:
            await admin.execute("set default_transaction_read_only = off")
            await admin.execute("alter system reset default_transaction_read_only")
            await admin.execute("select pg_reload_conf()")


async def end_sessions(postgres: EmbeddedPostgres, name: str = "thespis") -> int:
    """An operator ends every connection of ours; says how many there were."""
    async with session(postgres.admin_url) as admin:
        return await admin.fetchval(
            "with ours as materialized (select pid from pg_stat_activity where application_name like $1"
            " and pid <> pg_backend_pid()) select count(pg_terminate_backend(pid)) from ours",
            f"{name}%",
        )
