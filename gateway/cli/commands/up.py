"""`thespis up`."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import click

from gateway.cli.tree import command as thespis_command


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
def command(data: Path, port: int, workspace: Path | None) -> None:
    """Start Postgres, NATS and a host under one data directory, and watch over them until Ctrl-C.

    With DATABASE_URL or NATS_URL in the environment those servers are used instead.
    """
    from gateway import workspace as workspaces
    from gateway.supervisor import Running, up

    if workspace is not None:
        workspaces.load(workspace)  # What is wrong with it is said now, before anything starts.
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    async def ready(running: Running) -> None:
        click.echo(f"thespis is ready on {running.url}  (data in {data.absolute()}; stop with Ctrl-C)")

    asyncio.run(up(data, port, workspace, on_ready=ready, say=lambda line: click.echo(line, err=True)))
