"""`thespis models list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, printable, rows
from gateway.cli.tree import command as thespis_command

COLUMNS = ("model", "context", "capabilities", "note")


@thespis_command()
@click.option("--provider", default="", help="Only models of this one.")
@output_option
@place_options
def command(provider: str, output: str, url: str | None, data: str | None) -> None:
    """List the models of a host; a provider that does not answer is told on standard error."""
    from gateway.cli.http import Api, call

    async def read(api: Api) -> list[dict[str, Any]]:
        return (await api.get("/v1/models"))["providers"]

    found = [each for each in call(url, data, read) if provider in ("", each["provider"])]
    models: list[dict[str, Any]] = [
        {"model": model["id"], "provider": each["provider"], "context": model["context"] or None,
         "capabilities": model["capabilities"], "note": model["note"] or each["note"]}
        for each in found for model in each["models"]
    ]  # fmt: skip
    if output == "table":
        for model in models:
            model["capabilities"] = ", ".join(model["capabilities"])
    rows(models, COLUMNS, output, empty="no models")
    for each in found:
        if each["error"]:
            click.echo(printable(f"{each['provider']}: {each['error']}"), err=True)
