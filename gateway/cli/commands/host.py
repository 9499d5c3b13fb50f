"""`thespis host`."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port of the gateway; 0 takes a free one.")
@click.option("--listen", default=None, help="Address of the gateway; anything but loopback requires tokens.")
@click.option(
    "--workspace",
    "workspaces",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A directory with your actors (workspace.py); may be given more than once.",
)
@click.option("--data", type=click.Path(path_type=Path), default=None, help="Where this host keeps its own marks.")
def command(port: int | None, listen: str | None, workspaces: tuple[Path, ...], data: Path | None) -> None:
    """Run one host against the servers of DATABASE_URL and NATS_URL, until it is told to stop.

    Any number of hosts may run against the same pair; they share the actors among them. The relay connects with
    NATS_RELAY_URL where facts may only be written by a user of its own.
    """
    from gateway.process import run

    run(port=port, listen=listen, workspaces=workspaces, data=data)
