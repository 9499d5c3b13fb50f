"""`thespis workflows check`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.output import emit, output_option
from gateway.cli.problems import tell
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
    from pathlib import Path

    from gateway.definitions import checker, described
    from gateway.problems import FAILED

    check = checker(workspaces)
    problems: list[dict[str, Any]] = []
    for file in files:
        found = check(Path(file).read_bytes(), file)
        problems += [described(problem) for problem in found]
    if output == "table":
        tell(problems, err=False)
    else:
        emit(problems, output)
    if problems:
        raise click.exceptions.Exit(FAILED)
