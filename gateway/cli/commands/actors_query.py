"""`thespis actors query`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.arguments import Address
from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("address", type=Address())
@click.argument("question")
@click.argument("body", default="{}")
@output_option
@place_options
def command(address: str, question: str, body: str, output: str, url: str | None, data: str | None) -> None:
    """Put QUESTION to the `query` function of the actor ADDRESS. It reads the committed state and records nothing.

    BODY is JSON text, @FILE, or - for standard input.
    """
    import msgspec

    from events.address import check_type, split
    from gateway.cli.arguments import json_argument
    from gateway.cli.http import Api, call, path

    document = {"question": check_type(question), "data": msgspec.Raw(json_argument(body, "BODY"))}

    async def ask(api: Api) -> dict[str, Any]:
        return await api.post(path("actors", *split(address), "query"), document)

    fields(call(url, data, ask), output)
