"""What `ask` and `tell` share: a message to an actor under an idempotency key."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.arguments import Address
from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


def message_command(verb: str, help: str) -> click.Command:
    """The command that sends ADDRESS MESSAGE [BODY] with this verb of the interface and prints the answer."""

    @thespis_command(help=help)
    @click.argument("address", type=Address())
    @click.argument("message")
    @click.argument("body", default="{}")
    @click.option("--key", help="Idempotency key; the same again gets the first answer  [default: a new one]")
    @click.option(
        "--timeout", type=click.FloatRange(min=0.001), default=30.0, show_default=True, help="Seconds to wait."
    )
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
        fields(send(verb, address, message, body, key, url, data, timeout), output)

    return command


def send(
    verb: str,
    address: str,
    message: str,
    body: str,
    key: str | None,
    url: str | None,
    data: str | None,
    timeout: float,
) -> dict[str, Any]:
    """POST the message to the actor and return the answer; repeated with the same key when the answer is lost."""
    import shlex
    import time

    import msgspec

    from events.address import check_type, split
    from events.errors import DeadlineExceeded, OutcomeUnknown
    from events.ids import random_id
    from gateway.cli.arguments import json_argument
    from gateway.cli.http import Api, call, path
    from gateway.cli.retrying import retrying

    raw = json_argument(body, "BODY")
    document = {"message": check_type(message), "data": msgspec.Raw(raw)}
    used = key or random_id()

    async def post(api: Api) -> dict[str, Any]:
        where = path("actors", *split(address), verb)
        end = time.monotonic() + timeout

        async def attempt() -> dict[str, Any]:
            return await api.post(where, document, key=used, timeout=max(end - time.monotonic(), 0.05))

        return await retrying(attempt, patience=timeout)

    try:
        return call(url, data, post)
    except (OutcomeUnknown, DeadlineExceeded) as error:
        error.hint = f"the message may have been handled: repeat it with --key {shlex.quote(used)} to learn the outcome"
        raise
