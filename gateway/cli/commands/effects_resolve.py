"""`thespis effects resolve`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("effect")
@click.option("--status", type=click.Choice(["succeeded", "failed"]), required=True, help="What became of it.")
@click.option("--reason", required=True, help="How you know; it is recorded.")
@click.option("--outcome", help="Its result or its error: JSON text, @FILE, or - for standard input.")
@output_option
@place_options
def command(
    effect: str, status: str, reason: str, outcome: str | None, output: str, url: str | None, data: str | None
) -> None:
    """Settle the effect with the id EFFECT, whose host was lost between the call and its record.

    `thespis projections show inbox --where open=true` lists those that wait.
    """
    import msgspec

    from events.ids import random_id
    from gateway.cli.arguments import json_argument
    from gateway.cli.http import Api, call, path
    from gateway.cli.retrying import retrying

    document: dict[str, Any] = {"status": status, "reason": reason}
    if outcome is not None:
        document["outcome"] = msgspec.Raw(json_argument(outcome, "--outcome"))
    key = random_id()

    async def resolve(api: Api) -> dict[str, Any]:
        return await retrying(lambda: api.post(path("effects", effect, "resolve"), document, key=key))

    fields(call(url, data, resolve), output)
