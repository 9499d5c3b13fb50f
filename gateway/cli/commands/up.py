"""`thespis up`."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import click

from events.errors import ThespisError
from gateway.cli.tree import command as thespis_command

LEDGER = Path(__file__).parents[2] / "examples" / "ledger"


@thespis_command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="THESPIS_DATA",
    default=Path(".thespis"),
    show_default=True,
    help="Where everything is kept.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8321,
    show_default=True,
    help="Port of the gateway; 0 takes a free one.",
)
@click.option(
    "--workspace", type=click.Path(path_type=Path), default=None, help="A directory with your actors (workspace.py)."
)
@click.option("--ledger", is_flag=True, help="Serve the example ledger, and move some money in it once.")
def command(data: Path, port: int, workspace: Path | None, ledger: bool) -> None:
    """Start Postgres, NATS and a host under one data directory, and watch over them until Ctrl-C.

    With DATABASE_URL or NATS_URL in the environment those servers are used instead.
    """
    from gateway import workspace as workspaces
    from gateway.supervisor import Running, up

    if ledger and workspace is not None:
        raise click.UsageError("--ledger and --workspace exclude each other")
    if ledger:
        workspace = LEDGER

    if workspace is not None:
        workspaces.load(workspace)  # What is wrong with it is said now, before anything starts.
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    async def ready(running: Running) -> None:
        click.echo(f"thespis is ready on {running.url}  (data in {data.absolute()}; stop with Ctrl-C)")
        if ledger:
            from gateway.demo.once import run_once

            try:
                await run_once(running.url)
            except ThespisError as error:
                click.echo(f"the example did not run: {error}", err=True)

    asyncio.run(up(data, port, workspace, on_ready=ready, say=lambda line: click.echo(line, err=True)))
