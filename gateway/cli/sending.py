"""What `ask` and `tell` share: a message to an actor under an idempotency key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from gateway.cli.arguments import Address


def message_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: ADDRESS MESSAGE [BODY] and `--key`."""
    for option in (
        click.option("--key", help="Idempotency key; the same again gets the first answer  [default: a new one]"),
        click.argument("body", default="{}"),
        click.argument("message"),
        click.argument("address", type=Address()),
    ):
        function = option(function)
    return function


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
