"""Problems of a definition as lines: file:line:column: where: what (how)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.output import emit, printable
from gateway.problems import FAILED

if TYPE_CHECKING:
    from actors.workflows.definition import Problem


def tell(problems: Iterable[Mapping[str, Any]], *, err: bool) -> None:
    """Print them, on standard error or as the output."""
    for problem in problems:
        hint = f" ({problem['hint']})" if problem.get("hint") else ""
        place = f"{problem['file']}:{problem['line']}:{problem['column']}"
        click.echo(printable(f"{place}: {problem.get('pointer') or '/'}: {problem['message']}{hint}"), err=err)


def check_files(files: Sequence[str], check: Callable[[bytes, str], list[Problem]], output: str) -> None:
    """Print every problem of some files, or that there is none. Exits with status 1 when there are some."""
    from gateway.definitions import described

    problems = [described(problem) for file in files for problem in check(Path(file).read_bytes(), file)]
    if output != "table":
        emit(problems, output)
    elif problems:
        tell(problems, err=False)
    else:
        click.echo(f"{len(files)} file{'s' * (len(files) != 1)}, no problems")
    if problems:
        raise click.exceptions.Exit(FAILED)
