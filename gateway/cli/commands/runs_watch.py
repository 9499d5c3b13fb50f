"""`thespis runs watch`."""

from __future__ import annotations

import sys
from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import emit, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("run")
@output_option
@place_options
def command(run: str, output: str, url: str | None, data: str | None) -> None:
    """Follow a run until it ends: a live tree on a terminal, else a line for each change.

    The exit status is 1 when the run did not succeed.
    """
    from gateway.cli.http import Api, call
    from gateway.cli.run_tree import line, live_view
    from gateway.cli.watching import follow
    from gateway.problems import FAILED

    async def plain(api: Api) -> str:
        async for name, found in follow(api, run):
            if output != "table":
                if output == "yaml":
                    click.echo("---")
                emit({"event": name, "data": found}, "jsonl" if output == "json" else output)
            elif name == "step":
                click.echo(line(found))
            elif name == "end":
                click.echo(f"{run}  {found['status']}")
            sys.stdout.flush()
            if name == "end":
                return found["status"]
        return ""

    async def tree(api: Api) -> str:
        from rich.console import Console
        from rich.live import Live

        state: dict[str, Any] | None = None
        steps: dict[str, dict[str, Any]] = {}
        with Live(live_view(None, {}), console=Console(), refresh_per_second=8) as live:
            async for name, found in follow(api, run):
                if name == "run":
                    state = found
                elif name == "step":
                    steps[found["step"]] = found
                    continue  # the run that follows shows it
                live.update(live_view(state, steps))
                if name == "end":
                    return found["status"]
        return ""

    living = output == "table" and sys.stdout.isatty()
    if call(url, data, tree if living else plain) != "succeeded":
        raise click.exceptions.Exit(FAILED)
