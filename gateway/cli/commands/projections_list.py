"""`thespis projections list`."""

from __future__ import annotations

from typing import Any

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows, when
from gateway.cli.tree import command as thespis_command


@thespis_command()
@output_option
@place_options
def command(output: str, url: str | None, data: str | None) -> None:
    """List projections and how far behind the log they are."""
    from gateway.cli.http import Api, call

    async def read(api: Api) -> list[dict[str, Any]]:
        return (await api.get("/v1/projections"))["projections"]

    found = call(url, data, read)
    if output == "table":
        found = [item | {"stale_since": when(since) if (since := item["stale_since"]) else None} for item in found]
    columns = [c for c in dict.fromkeys(["name", *(key for item in found for key in item)]) if c != "tables"]
    rows(found, columns, output, empty="no projections")
