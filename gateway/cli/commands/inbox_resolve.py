"""`thespis inbox resolve`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("item")
@click.option("--resume", "action", flag_value="resume", help="Parked actor: try its message again.")
@click.option("--skip", "action", flag_value="skip", help="Parked actor: never handle that message.")
@click.option("--succeeded", "action", flag_value="succeeded", help="Unknown effect: it happened.")
@click.option("--failed", "action", flag_value="failed", help="Unknown effect: it did not happen.")
@click.option("--retry", "action", flag_value="retry", help="Dead letter: send its message again.")
@click.option("--dismiss", "action", flag_value="dismiss", help="Dead letter: let it go.")
@click.option("--reason", required=True, help="Why, or how you know; it is recorded.")
@click.option("--with", "content", metavar="JSON", help="Result, error or mended CloudEvent: JSON text, @FILE, or -.")
@output_option
@place_options
def command(
    item: str,
    action: str | None,
    reason: str,
    content: str | None,
    output: str,
    url: str | None,
    data: str | None,
) -> None:
    """Close one item of the inbox, in the way that fits it; what was done is recorded.

    \b
    Examples:
      thespis inbox resolve 812 --retry --reason 'the type is known now'
      thespis inbox resolve parked:account/1 --skip --reason 'its file was corrupt'
    """
    import msgspec

    from events.ids import random_id
    from gateway.cli.arguments import json_argument
    from gateway.cli.http import Api, call
    from gateway.cli.inbox import close
    from gateway.cli.inbox import item as find

    if action is None:
        raise click.UsageError("say what to do: --resume or --skip, --succeeded or --failed, --retry or --dismiss")
    chosen = action
    raw = msgspec.Raw(json_argument(content, "--with")) if content is not None else None
    key = random_id()

    async def resolve(api: Api) -> dict[str, Any]:
        return await close(api, await find(api, item), chosen, reason, raw, key)

    fields(call(url, data, resolve), output)
