"""`thespis subjects list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.option("--after", default="", help="Only those that come after this one.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Most rows to show.")
@output_option
@place_options
def command(after: str, limit: int, output: str, url: str | None, data: str | None) -> None:
    """List people with sealed fields, by the ids that fields and addresses name them by."""
    from gateway.cli.http import Api, call
    from gateway.cli.output import when

    async def look(api: Api) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        start: str | None = after
        while start is not None and len(found) < limit:
            page = await api.get("/v1/subjects", {"after": start, "limit": min(limit - len(found), 1000)})
            found += page["subjects"]
            start = page["next"]
        return [one | {"since": when(one["since"])} for one in found]

    rows(call(url, data, look), ("subject", "key", "since"), output, empty="nothing is sealed for anybody")
