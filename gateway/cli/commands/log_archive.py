"""`thespis log archive`."""

from __future__ import annotations

import asyncio

import click

from gateway.cli.find import data_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.option("--before", type=click.IntRange(min=1), metavar="POSITION", help="Move events before this position.")
@click.option("--older-than", type=click.IntRange(min=0), metavar="DAYS", help="Move events older than so many days.")
@data_option("--data", "--data-dir")
def command(before: int | None, older_than: int | None, data: str | None) -> None:
    """Move old events to where they take less room; nothing that reads the log can tell, except by the clock.

    Runs beside hosts, in small transactions that no append waits for. It may be broken off and called again. The newest
    event of every stream stays where it is.
    """
    from gateway.cli.archiving import DAY, position_at
    from gateway.cli.find import database
    from gateway.cli.progress import progress
    from gateway.direct import open_log

    if (before is None) == (older_than is None):
        raise click.UsageError("say which events are old: --before POSITION or --older-than DAYS")
    place = database(data)

    async def run() -> tuple[int, int]:
        from time import time_ns

        async with open_log(place.database_url) as store:
            if older_than is not None:
                upto = await position_at(store, time_ns() // 1000 - older_than * DAY)
            else:
                upto = min((before or 1) - 1, await store.head())
            known = await store.figures()
            with progress("archiving", "events", max(0, upto - known.archived)) as advance:
                return await store.archive(upto, moved=advance), upto

    count, upto = asyncio.run(run())
    click.echo(f"archived {count} of positions 1 to {upto}" if upto else "nothing is that old")
