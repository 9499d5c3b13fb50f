"""`thespis consumers`."""

from __future__ import annotations

from typing import Any

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows
from gateway.cli.tree import command as thespis_command

COLUMNS = ("name", "kind", "position", "lag", "here", "detail")


@thespis_command()
@output_option
@place_options
def command(output: str, url: str | None, data: str | None) -> None:
    """List everybody who reads the log or the bus, and how far behind they are."""
    from gateway.cli.http import Api, call

    async def read(api: Api) -> list[dict[str, Any]]:
        return (await api.get("/v1/consumers"))["consumers"]

    rows(call(url, data, read), COLUMNS, output, empty="nobody")
