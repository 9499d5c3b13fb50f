"""The log as projections read it: ranges of positions, and only the columns a projection uses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from itertools import starmap
from typing import Any, Final

from events.envelope import Event
from infra.postgres import archived
from infra.postgres.archive_block import POSITION, Row
from infra.postgres.connection import Connection, Links
from projections.core.definition import EVENT_COLUMNS
from projections.core.source import view_type

_HEAD: Final = "select position from thespis.events order by position desc limit 1"
_DATA: Final = "coalesce(e.data, (select b.data from thespis.blobs b where b.sha256 = e.blob))"

Old = Callable[[Connection], Awaitable[list[Row]]]
"""The same events, as far as they are in the archive."""


@lru_cache(maxsize=256)
def _select(columns: tuple[str, ...], where: str, data_of: str) -> str:
    data = f"case when e.type = any({data_of}::text[]) then {_DATA} end" if data_of else _DATA
    names = ", ".join(data if c == "data" else f"e.{c}" for c in columns)
    return f"select {names} from thespis.events e where {where} order by e.position"


class PostgresSource:
    """A `projections.Source`: about twice as quick as reading whole envelopes when few columns are wanted."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def head(self) -> int:
        """The last position that can be read."""

        async def work(connection: Connection) -> int:
            return await connection.fetchval(_HEAD) or 0

        return await self._links.run(work)

    async def read(
        self, after: int, upto: int, columns: Sequence[str], types: Sequence[str] | None, data_of: Sequence[str] | None
    ) -> list[Event]:
        """See `projections.core.port.Source`. Reads a range: positions have no gaps, so it needs no limit."""

        async def old(connection: Connection) -> list[Row]:
            return await archived.between(connection, after, upto, types)

        where = "e.position > $1 and e.position <= $2"
        values: list[Any] = [after, upto]
        if types is not None:
            values.append(list(types))
            where += " and e.type = any($3::text[])"
        narrowed = ""
        if data_of is not None and "data" in columns:
            values.append(list(data_of))
            narrowed = f"${len(values)}"
        whole = None if types is not None else upto - after
        return await self._fetch(_select(tuple(columns), where, narrowed), columns, values, whole, old)

    async def at(self, positions: Sequence[int], columns: Sequence[str]) -> list[Event]:
        """See `projections.core.port.Source`."""

        async def old(connection: Connection) -> list[Row]:
            return await archived.at(connection, positions)

        sql = _select(tuple(columns), "e.position = any($1::bigint[])", "")
        return await self._fetch(sql, columns, [list(positions)], len(set(positions)), old)

    async def _fetch(
        self, sql: str, columns: Sequence[str], values: list[Any], whole: int | None, old: Old
    ) -> list[Event]:
        """Events by a query, and those of the archive unless there are as many as the `whole` is known to have."""

        async def work(connection: Connection) -> Any:
            rows: list[Any] = await connection.fetch(sql, *values)
            if len(rows) == whole or not await old(connection):
                return rows
            # Again with positions, to merge by. What is moved meanwhile is found in the archive, so that comes last.
            placed: list[Any] = await connection.fetch(sql.replace("select ", "select e.position, ", 1), *values)
            both = {row[POSITION]: tuple(row[n] for n in places) for row in await old(connection)}
            both |= {row[0]: tuple(row)[1:] for row in placed}
            return [both[position] for position in sorted(both)]

        places = [EVENT_COLUMNS.index(column) for column in columns]
        return list(starmap(view_type(tuple(columns)), await self._links.run(work)))
