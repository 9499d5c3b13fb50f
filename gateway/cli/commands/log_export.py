"""`thespis log export`."""

from __future__ import annotations

import asyncio
import os
from typing import BinaryIO

import click

from gateway.cli.find import data_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@data_option("--data", "--data-dir")
def command(file: str, data: str | None) -> None:
    """Write the log to FILE (- for standard output): one full envelope per line, in order of position.

    An export that was broken off goes on where it stopped when it is called again, and a whole one gets what the log
    has beyond it. The last line tells a whole export from a part. Mail, timers and open effects are not in it.
    """
    from gateway.cli.exporting import to_file, to_output
    from gateway.cli.find import database
    from gateway.cli.progress import progress
    from gateway.direct import open_log

    place = database(data)

    async def run(target: BinaryIO | None) -> int:
        async with open_log(place.database_url) as store:
            with progress("exporting", "events", await store.head()) as advance:
                return await (to_output(store, advance) if target is None else to_file(store, target, advance))

    if file == "-":
        position = asyncio.run(run(None))
    else:
        new = not os.path.exists(file)
        with open(file, "w+b" if new else "r+b") as target:
            try:
                position = asyncio.run(run(target))
            finally:
                if new and os.fstat(target.fileno()).st_size == 0:
                    os.unlink(file)
    click.echo(f"exported positions 1 to {position}" if position else "exported an empty log", err=True)
