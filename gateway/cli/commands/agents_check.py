"""`thespis agents check`."""

from __future__ import annotations

import click

from gateway.cli.output import output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@output_option
def command(files: tuple[str, ...], output: str) -> None:
    """Check definitions, without a server. Every problem is told as file:line:column; the exit status is then 1.

    Names of tools and models are taken as they are; publishing checks them.
    """
    from gateway.agents import checker
    from gateway.cli.problems import check_files

    check_files(files, checker(), output)
