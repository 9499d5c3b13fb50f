"""`thespis workflows check`."""

from __future__ import annotations

import click

from gateway.cli.output import output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--workspace", "workspaces", type=click.Path(), multiple=True, help="A directory with the tasks that steps name."
)
@output_option
def command(files: tuple[str, ...], workspaces: tuple[str, ...], output: str) -> None:
    """Check definitions, without a server. Every problem is told as file:line:column; the exit status is then 1.

    Names of tasks are checked with --workspace only.
    """
    from gateway.cli.problems import check_files
    from gateway.definitions import checker

    check_files(files, checker(workspaces), output)
