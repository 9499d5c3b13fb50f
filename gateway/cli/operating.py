"""What a person does to an actor: a recorded act with a reason, under a key so that it can be sent again."""

from __future__ import annotations

from typing import Any


def operate(verb: str, address: str, body: dict[str, Any], url: str | None, data: str | None) -> dict[str, Any]:
    """POST `body` to the actor's `verb` and return what was recorded."""
    from events.address import split
    from events.ids import random_id
    from gateway.cli.http import Api, call, path
    from gateway.cli.retrying import retrying

    key = random_id()

    async def post(api: Api) -> dict[str, Any]:
        return await retrying(lambda: api.post(path("actors", *split(address), verb), body, key=key))

    return call(url, data, post)
