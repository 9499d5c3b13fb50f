"""What deleted rows leave behind on the disk of a Postgres server: pages, statistics, write-ahead log."""

from __future__ import annotations

from typing import Final

from infra.postgres.connection import Connection
from infra.postgres.errors import FAILURES

_REWRITTEN: Final = (
    "thespis.subject_keys",
    "thespis.snapshots",
    "thespis.state_hashes",
    "thespis.projection_builds",
    "thespis.projection_parked",
    "thespis.projection_held",
    "thespis.projection_decisions",
    "thespis.projection_switches",
    "pg_catalog.pg_statistic",
)
"""Tables whose dead rows may hold what was erased: values of dropped columns, wrapped keys, states."""
_SEGMENTS: Final = 128
_AHEAD: Final = """
select count(*) from pg_ls_waldir() w
 where w.name > pg_walfile_name(pg_current_wal_lsn()) and w.name ~ '^[0-9A-F]{24}$'"""
_OWNER: Final = """
select pg_has_role(d.datdba, 'usage') from pg_database d where d.datname = current_database()"""


async def scrub(connection: Connection) -> list[str]:
    """Write the tables anew and let go of the write-ahead log so far; returns what was not possible, in words."""
    left: list[str] = []
    if not await connection.fetchval(_OWNER):
        left.append("statistics of columns stay on the disk until pg_statistic is vacuumed by the database's owner")
    for table in _REWRITTEN:
        try:
            await connection.execute(f"vacuum full {table}")
        except FAILURES as error:
            left.append(f"dead rows of {table} stay on the disk until it is vacuumed: {error}")
    try:
        await _drop_log(connection)
    except FAILURES as error:
        left.append(f"the write-ahead log keeps rows of projections until the server reuses it: {error}")
    keeps = "select count(*) from pg_replication_slots"
    if await connection.fetchval(keeps) or await connection.fetchval("show archive_mode") != "off":
        left.append("replicas and archives of the write-ahead log keep rows of projections until they are let go")
    return left


async def _drop_log(connection: Connection) -> None:
    """Segments already renamed for reuse still hold what they held: step over them, then have all old ones removed."""
    await connection.execute("alter system set wal_recycle = off")
    try:
        await connection.fetchval("select pg_reload_conf()")
        for _ in range(_SEGMENTS):
            await connection.fetchval("select pg_logical_emit_message(false, 'thespis', '')")
            await connection.fetchval("select pg_switch_wal()")
            await connection.execute("checkpoint")
            if not await connection.fetchval(_AHEAD):
                break
        await connection.fetchval("select pg_logical_emit_message(false, 'thespis', '')")
        await connection.fetchval("select pg_switch_wal()")
        await connection.execute("checkpoint")
    finally:
        await connection.execute("alter system reset wal_recycle")
        await connection.fetchval("select pg_reload_conf()")
