"""Switching readers from one build to another: the live build is held still by a lock on its row in the registry."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from events.errors import NotFound
from infra.postgres import projections_builds as registry
from infra.postgres.connection import Connection, Links
from infra.postgres.errors import FAILURES, translated
from projections.core.comparison import Comparison
from projections.core.port import Build, Switch

_FREEZE: Final = """
select number from thespis.projection_builds where projection = $1 and state = 'live' for no key update"""
_LEAVE: Final = """
update thespis.projection_builds set state = 'standby', kept_until = $3, note = '', declined = 0,
       revision = revision + 1
 where projection = $1 and number = $2"""
_ENTER: Final = """
update thespis.projection_builds set state = 'live', kept_until = 0, note = '', declined = $4,
       revision = revision + 1
 where projection = $1 and number = $2 and state <> 'live' and cursor = $3"""
_NOTE: Final = """
insert into thespis.projection_switches
  (id, projection, from_build, from_version, to_build, to_version, position, comparison, by, reason, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"""
_SET_ASIDE: Final = """
update thespis.projection_builds set state = 'standby', note = $3, kept_until = $4
 where projection = $1 and number = $2 and state = 'building'"""
_SWITCHES: Final = """
select id, projection, from_build, from_version, to_build, to_version, position, comparison, by, reason, at, recorded
  from thespis.projection_switches"""
_LATEST: Final = f"{_SWITCHES} where $1::text is null or projection = $1 order by ordinal desc limit $2"
_UNTOLD: Final = f"""
{_SWITCHES} where recorded is null and ($1::text is null or projection = $1) order by ordinal desc limit $2"""
_TRIES: Final = 10

_decode = msgspec.json.Decoder(Comparison).decode
_encode = msgspec.json.Encoder().encode


class _Lost(Exception):
    """The build is not where it has to be: nothing is switched."""


class Frozen:
    """See `projections.core.port.Frozen`. What it changes is committed at the end of the block."""

    def __init__(self, connection: Connection, live: Build) -> None:
        self._connection = connection
        self._live = live

    @property
    def live(self) -> Build:
        """The live build."""
        return self._live

    async def switch(self, to: int, switch: Switch, *, kept_until: int, declined: int) -> bool:
        """See `Frozen.switch`."""
        live, connection = self._live, self._connection
        if to == live.number:
            return False
        try:
            async with connection.transaction():  # a savepoint: both, or neither
                await connection.execute(_LEAVE, live.projection, live.number, kept_until)
                entered = await connection.execute(_ENTER, live.projection, to, live.cursor, declined)
                if entered != "UPDATE 1":
                    raise _Lost
                values = [getattr(switch, name) for name in switch.__struct_fields__[:-1]]
                values[7] = _encode(switch.comparison)
                await connection.execute(_NOTE, *values)
        except _Lost:
            return False
        return True


@asynccontextmanager
async def frozen(links: Links, projection: str) -> AsyncGenerator[Frozen]:
    """Nobody commits to the live build inside this block: commits wait for the lock on its row."""
    async with links.take() as link:
        try:
            connection = await link.get()
            async with connection.transaction():
                yield Frozen(connection, await _freeze(connection, projection))
        except FAILURES as error:
            link.drop()
            raise translated(error, links.place) from error


async def _freeze(connection: Connection, projection: str) -> Build:
    for _ in range(_TRIES):
        number = await connection.fetchval(_FREEZE, projection)
        builds = await registry.builds(connection, projection)
        live = next((b for b in builds if b.state == "live"), None)
        if live is None:
            break
        if live.number == number:
            return live
        # Another one became live while the lock was waited for.
    raise NotFound(f"there is no projection {projection!r}", hint="`thespis projections list` names them")


async def set_aside(connection: Connection, build: Build, note: str, kept_until: int) -> None:
    """Make a building build a standby."""
    await connection.execute(_SET_ASIDE, build.projection, build.number, note, kept_until)


async def switches(connection: Connection, projection: str | None, limit: int, unrecorded: bool) -> list[Switch]:
    """What was switched, newest first."""
    rows: list[Any] = await connection.fetch(_UNTOLD if unrecorded else _LATEST, projection, limit)
    return [_switch(row) for row in rows]


def _switch(record: Any) -> Switch:
    values = list(record)
    values[7] = _decode(values[7])
    return Switch(*values)


async def recorded(connection: Connection, switch: str, position: int) -> None:
    """The event is in the log."""
    await connection.execute("update thespis.projection_switches set recorded = $2 where id = $1", switch, position)
