"""A second Postgres that follows the first and takes its place."""

from __future__ import annotations

import asyncio
import shutil

from events.errors import Unavailable
from gateway.torture.faults_postgres import database, session
from infra.embedded.postgres import EmbeddedPostgres


class Standby(EmbeddedPostgres):
    """A server that streams from another one, on the same machine; what is acknowledged there is here, too.

    `attach` before `start`. Both have the same passwords.
    """

    primary: EmbeddedPostgres

    def attach(self, primary: EmbeddedPostgres) -> None:
        """Say whom to follow."""
        self.primary = primary

    async def _create(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        maker = self._run(
            "pg_basebackup", "--pgdata", self.directory, "--dbname", database(self.primary.admin_url, "postgres"),
            "--wal-method", "stream", "--checkpoint", "fast", "--write-recovery-conf", "--no-sync",
        )  # fmt: skip
        try:
            status = await maker.wait(60.0)
        finally:
            await maker.kill()
        if status:
            raise Unavailable(f"pg_basebackup failed: {maker.last_words()}")

    async def follow(self) -> None:
        """Wait until it streams; from then on the other one acknowledges nothing that is not here."""
        async with session(database(self.primary.admin_url, "postgres")) as admin:
            async with asyncio.timeout(60):
                while not await admin.fetchval("select count(*) from pg_stat_replication where state = 'streaming'"):
                    await asyncio.sleep(0.05)
            await admin.execute("alter system set synchronous_standby_names = '*'")
            await admin.execute("select pg_reload_conf()")
            async with asyncio.timeout(60):
                while not await admin.fetchval("select count(*) from pg_stat_replication where sync_state = 'sync'"):
                    await asyncio.sleep(0.05)

    async def promote(self) -> None:
        """Take the place of the other one, which is gone; nobody need follow this one."""
        async with session(database(self.admin_url, "postgres")) as admin:
            await admin.execute("select pg_promote(true, 60)")
            await admin.execute("alter system reset synchronous_standby_names")
            await admin.execute("select pg_reload_conf()")


def both(one: EmbeddedPostgres, other: EmbeddedPostgres) -> str:
    """A DSN that names both servers and means whichever takes writes."""
    return one.url.replace(f":{one.port}/", f":{one.port},127.0.0.1:{other.port}/") + "?target_session_attrs=read-write"
