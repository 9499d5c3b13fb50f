"""`thespis log import`."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import click

from gateway.cli.find import data_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--resume", is_flag=True, help="Go on with an import of the same FILE that was broken off.")
@data_option("--data", "--data-dir")
def command(file: str, resume: bool, data: str | None) -> None:
    """Read the export FILE (- for standard input) into the empty log of a database.

    The whole file is checked before the first event is written: its form, its positions and versions, and the hash
    chain of every stream. The log must be empty, and no host may write to it meanwhile.
    """
    from events.errors import Conflict
    from gateway.cli.find import database
    from gateway.cli.importing import check, resumable, write
    from gateway.cli.progress import progress
    from gateway.direct import open_log

    place = database(data)

    async def run(source: BinaryIO) -> int:
        async with open_log(place.database_url, migrate=True) as store:
            head = await store.head()
            if head and not (resume and await resumable(store, _lines(source), head)):
                raise Conflict(
                    f"the log is not empty: it has {head} events",
                    hint="the file does not begin with them; import into an empty database"
                    if resume
                    else "import into an empty database; or, if an import of this file was broken off, use --resume",
                )
            with progress("checking", "lines") as advance:
                last = check(_lines(source), advance)
            with progress("importing", "events", last - head) as advance:
                return await write(store, _lines(source), after=head, advance=advance)

    with _seekable(file) as source:
        position = asyncio.run(run(source))
    click.echo(f"imported positions 1 to {position}" if position else "imported an empty log", err=True)


@contextmanager
def _seekable(file: str) -> Generator[BinaryIO]:
    """The file, or what came on standard input: it is read more than once."""
    if file != "-":
        with open(file, "rb") as source:
            yield source
        return
    with tempfile.TemporaryFile() as source:
        shutil.copyfileobj(sys.stdin.buffer, source)
        yield source


def _lines(source: BinaryIO) -> Iterator[bytes]:
    source.seek(0)
    return iter(source)
