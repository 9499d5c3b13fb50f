"""`thespis log verify`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from gateway.cli.find import data_option
from gateway.cli.output import output_option
from gateway.cli.tree import command as thespis_command

if TYPE_CHECKING:
    from gateway.proof import Check


@thespis_command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True), required=False)
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the newest N events, and no rows beside.")
@output_option
@data_option("--data", "--data-dir")
def command(file: str | None, last: int | None, output: str, data: str | None) -> None:
    """Prove from what is stored that the log is whole, and all that belongs to it; beside running hosts, too.

    Positions and versions are gapless, hash chains are recomputed, no two epochs of a partition overlap, every tell
    that was sent was handled once or waits, every effect has one outcome or is open, every timer fired at most once,
    nothing is missing that is referred to. What does not hold is named, with what that means and the way out; the exit
    status is then 1.

    With FILE, an export (`thespis log export`) is held against what can be told from events alone.

    \b
    Examples:
      thespis log verify
      thespis log verify --last 100000 -o json
      DATABASE_URL=postgresql://… thespis log verify

    `thespis replay --verify` is its sister: it folds every stream with today's code.
    """
    from gateway.cli.showing import show_checks
    from gateway.problems import FAILED

    if file is not None and last is not None:
        raise click.UsageError("--last goes with a database, not with FILE")
    checks = _file(file) if file is not None else asyncio.run(_database(data, last))
    show_checks(checks, output)
    if not all(check.passed for check in checks):
        raise click.exceptions.Exit(FAILED)


async def _database(data: str | None, last: int | None) -> list[Check]:
    from gateway.cli.find import database
    from gateway.cli.progress import progress
    from gateway.direct import open_audit
    from gateway.proof.verifying import verify

    async with open_audit(database(data).database_url) as audit:
        head = await audit.head()
        with progress("verifying", "events", head if last is None else min(last, head)) as advance:
            return await verify(audit, advance, last=last)


def _file(path: str) -> list[Check]:
    from gateway.cli.progress import progress
    from gateway.proof.verifying import verify_export

    with open(path, "rb") as file, progress("verifying", "events") as advance:
        return verify_export(file, advance)
