"""`thespis log status`."""

from __future__ import annotations

import asyncio

from gateway.cli.find import data_option
from gateway.cli.output import output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@output_option
@data_option("--data", "--data-dir")
def command(output: str, data: str | None) -> None:
    """Show how much there is: the head, what is archived, how far back messages go, rows and bytes by table.

    Rows of other tables than the events are estimates of the server.
    """
    from gateway.cli.find import database
    from gateway.cli.output import fields, when
    from gateway.direct import open_log

    place = database(data)

    async def run() -> dict[str, object]:
        async with open_log(place.database_url) as store:
            known = await store.figures()
        return {
            "head": known.head,
            "archived": known.archived,
            "archived_upto": known.archived_upto,
            "messages_since": when(known.horizon) if known.horizon else None,
            "rows": known.rows,
            "bytes": known.bytes,
        }

    fields(asyncio.run(run()), output)
