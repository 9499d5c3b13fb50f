"""`thespis demo`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.option("--transfers", type=click.IntRange(min=1), default=10_000, show_default=True, help="How many to make.")
@click.option(
    "--accounts", type=click.IntRange(min=2), default=1_000, show_default=True, help="Among how many accounts."
)
@click.option("--kills", type=click.IntRange(min=0), default=8, show_default=True, help="How often the host is killed.")
@click.option("--workflow/--no-workflow", default=True, show_default=True, help="Also make a digest of real files.")
@click.option("--seed", type=int, help="What decides who pays whom and when a host is killed  [default: chance]")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="An empty directory to keep  [default: a temporary]",
)
@output_option
def command(
    transfers: int, accounts: int, kills: int, workflow: bool, seed: int | None, data: Path | None, output: str
) -> None:
    """Move money between accounts while killing the host with SIGKILL, then prove from the log that none was lost.

    Then a workflow makes a report of the project's own Markdown, killed in the middle and while it waits for approval.

    The exit status is 1 when a proof fails.
    """
    import msgspec
    from rich.console import Console

    from gateway.demo.run import demo
    from gateway.problems import FAILED

    # What a program reads is the report alone; the story goes to standard error then.
    console = Console() if output == "table" else Console(file=sys.stderr)
    report = asyncio.run(
        demo(data, transfers=transfers, accounts=accounts, kills=kills, seed=seed, workflow=workflow, out=console)
    )
    if output != "table":
        fields({**msgspec.to_builtins(report), "passed": report.passed}, output)
    if not report.passed:
        raise click.exceptions.Exit(FAILED)
