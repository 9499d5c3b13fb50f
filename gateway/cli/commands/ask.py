"""`thespis ask`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.sending import message_options, send
from gateway.cli.tree import command as thespis_command


@thespis_command()
@message_options
@click.option("--timeout", type=click.FloatRange(min=0.001), default=30.0, show_default=True, help="Seconds to wait.")
@output_option
@place_options
def command(
    address: str,
    message: str,
    body: str,
    key: str | None,
    timeout: float,
    output: str,
    url: str | None,
    data: str | None,
) -> None:
    """Send MESSAGE to the actor ADDRESS and print its answer, which comes after the commit.

    BODY is JSON text, @FILE, or - for standard input.

    Example: thespis ask account/1 Deposit '{"amount": 5}'
    """
    fields(send("ask", address, message, body, key, url, data, timeout), output)
