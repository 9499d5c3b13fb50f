"""Problems of a definition as lines: file:line:column: where: what (how)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from gateway.cli.output import printable


def tell(problems: Iterable[Mapping[str, Any]], *, err: bool) -> None:
    """Print them, on standard error or as the output."""
    for problem in problems:
        hint = f" ({problem['hint']})" if problem.get("hint") else ""
        place = f"{problem['file']}:{problem['line']}:{problem['column']}"
        click.echo(printable(f"{place}: {problem.get('pointer') or '/'}: {problem['message']}{hint}"), err=err)
