"""`thespis log prune`."""

from __future__ import annotations

import asyncio

import click

from gateway.cli.find import data_option
from gateway.cli.output import output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.option(
    "--before", required=True, metavar="TIME", help="30d, 12h, a date or a time: what was handled before goes."
)
@click.option("--hashes", default=100, show_default=True, type=click.IntRange(min=3), help="State hashes per stream.")
@output_option
@data_option("--data", "--data-dir")
def command(before: str, hashes: int, output: str, data: str | None) -> None:
    """Forget old messages now; a host does the same by itself, with the horizon THESPIS_HORIZON_DAYS.

    Events are never touched, so replay needs nothing of this. The key of a request that is forgotten is refused as
    expired from then on. Bodies nobody refers to, deaths counted against handled messages, and state hashes beyond
    `--hashes` of a stream go too. It may be broken off and called again.
    """
    from msgspec import to_builtins

    from gateway.cli.archiving import moment
    from gateway.cli.find import database
    from gateway.cli.output import fields
    from gateway.direct import open_log

    time = moment(before)
    place = database(data)

    async def run() -> dict[str, int]:
        async with open_log(place.database_url) as store:
            return to_builtins(await store.prune(time, hashes=hashes))

    fields(asyncio.run(run()), output)
