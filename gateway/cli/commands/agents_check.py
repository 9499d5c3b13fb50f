"""`thespis agents check`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.output import emit, output_option
from gateway.cli.problems import tell
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@output_option
def command(files: tuple[str, ...], output: str) -> None:
    """Check definitions, without a server. Every problem is told as file:line:column; the exit status is then 1.

    Names of tools and models are taken as they are; publishing checks them.
    """
    from pathlib import Path

    from gateway.agents import checker
    from gateway.definitions import described
    from gateway.problems import FAILED

    check = checker()
    problems: list[dict[str, Any]] = []
    for file in files:
        problems += [described(problem) for problem in check(Path(file).read_bytes(), file)]
    if output == "table":
        tell(problems, err=False)
    else:
        emit(problems, output)
    if problems:
        raise click.exceptions.Exit(FAILED)
