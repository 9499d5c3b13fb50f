"""`thespis subjects erase`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("subject")
@click.option("--reason", required=True, help="Why; it is recorded, so name nobody.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output_option
@place_options
def command(subject: str, reason: str, yes: bool, output: str, url: str | None, data: str | None) -> None:
    """Destroy the key of SUBJECT: its fields can never be read again, by anybody.

    Waits until projections are built anew, and prints the receipt. Backups keep what they hold until they are let go:
    without the key in them nobody reads it, so keep dumps of the keys no longer than you must.
    """
    import asyncio
    import sys

    from gateway.cli.http import Api, call, path

    if not yes:
        try:
            click.confirm(f"Erase {subject} for good?", abort=True, err=True)
        except click.Abort:
            if sys.stdin.isatty():
                raise
            raise click.UsageError("nobody agreed to erasing: nothing was done; --yes agrees") from None

    async def erase(api: Api) -> dict[str, Any]:
        found = await api.post(path("subjects", subject, "erase"), {"reason": reason})
        while not found["done"]:
            click.echo(f"erasure {found['id']}: the key is gone, the rest goes on", err=True)
            await asyncio.sleep(2.0)
            found = await api.get(path("erasures", found["id"]))
        return found["receipt"]

    fields(call(url, data, erase), output)
