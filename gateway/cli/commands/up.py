"""`thespis up`."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import click

from events.errors import ThespisError
from gateway.cli.tree import command as thespis_command

LEDGER = Path(__file__).parents[2] / "examples" / "ledger"
LIBRARIAN = "librarian"
"""The template of the example agent, and where it is kept in the data directory."""


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
    "--workspace",
    "given",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A directory with your actors (workspace.py), agents, workflows; may be given more than once.",
)
@click.option("--ledger", is_flag=True, help="Serve the examples, a ledger and an agent, and move some money once.")
def command(data: Path, port: int, given: tuple[Path, ...], ledger: bool) -> None:
    """Start Postgres, NATS and a host under one data directory, and watch over them until Ctrl-C.

    With DATABASE_URL or NATS_URL in the environment those servers are used instead.
    """
    from gateway import workspace as workspaces
    from gateway.agents import checker
    from gateway.built_in import built_in
    from gateway.cli.problems import tell
    from gateway.definitions import described
    from gateway.supervisor import Running, up

    if ledger and given:
        raise click.UsageError("--ledger and --workspace exclude each other")
    folders = [LEDGER, _librarian(data)] if ledger else list(given)
    if folders:
        # What is wrong is said now, before anything starts; agents that are wrong hold up nobody else.
        check = checker()
        for file in workspaces.gather(folders, built_in()).agents:
            tell(map(described, check(file.read_bytes(), str(file))), err=True)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    async def ready(running: Running) -> None:
        click.echo(f"thespis is ready on {running.url}  (data in {data.absolute()}; stop with Ctrl-C)")
        if ledger:
            from gateway.demo.once import run_once

            try:
                await run_once(running.url)
            except ThespisError as error:
                click.echo(f"the example did not run: {error}", err=True)
            click.echo("There is an agent too: thespis chat librarian")

    asyncio.run(up(data, port, folders, on_ready=ready, say=lambda line: click.echo(line, err=True)))


def _librarian(data: Path) -> Path:
    """The example agent's workspace, written the first time: its folder is for the agent to write into."""
    from gateway.cli.templates import write_template

    place = data / LIBRARIAN
    if not place.exists():
        write_template(LIBRARIAN, place)
    return place
