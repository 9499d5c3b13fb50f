"""What needs a person, and each item's way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from events.address import split
from events.errors import Invalid, NotFound
from gateway.cli.http import Api, path
from gateway.cli.reading import rows
from gateway.cli.retrying import retrying

COLUMNS: Final = ("opened_position", "kind", "address", "subject_type", "times", "reason")

ACTIONS: Final[dict[str, dict[str, str]]] = {
    "parked": {
        "resume": "try the message it stopped at again",
        "skip": "never handle that message, and go on",
    },
    "unknown-effect": {
        "succeeded": "it happened; --with is its result",
        "failed": "it did not happen; --with is its error",
    },
    "dead-letter": {
        "retry": "send the message again; --with is the mended CloudEvent",
        "dismiss": "let it go",
    },
}
"""What may be done with an item of each kind."""


async def items(api: Api, limit: int, *, closed: bool) -> list[dict[str, Any]]:
    """The open items, oldest first, or with `closed` all of them."""
    wanted = {"sort": "opened_at"} if closed else {"sort": "opened_at", "where": "open=true"}
    return await rows(api, "/v1/projections/inbox", "rows", limit, wanted)


async def item(api: Api, name: str) -> dict[str, Any]:
    """The item of that name, or the newest one opened at that position. Raises NotFound."""
    column = "opened_position" if name.isdecimal() else "item"
    found = await rows(api, "/v1/projections/inbox", "rows", 1, {"where": f"{column}={name}"})
    if not found:
        raise NotFound(f"there is no item {name} in the inbox", hint="`thespis inbox list --all` shows them")
    return found[0]


def ways_out(found: Mapping[str, Any]) -> list[str]:
    """The commands that close an item, each with what it does."""
    if not found["open"]:
        return []
    name = found["opened_position"]
    return [
        f"thespis inbox resolve {name} --{action} --reason WHY   # {meaning}"
        for action, meaning in ACTIONS.get(found["kind"], {}).items()
    ]


async def close(api: Api, found: Mapping[str, Any], action: str, reason: str, data: Any, key: str) -> dict[str, Any]:
    """Do it; returns what was recorded. Raises Invalid when that is no way out of such an item."""
    kind = found["kind"]
    known = ACTIONS.get(kind, {})
    if action not in known:
        choices = " or ".join(f"--{name}" for name in known)
        raise Invalid(f"--{action} is no way out of an item of the kind {kind}", hint=f"choose {choices}")
    if data is not None and action in ("resume", "skip", "dismiss"):
        raise Invalid(f"--with does not go with --{action}")
    where, document = _request(found, action, reason, data)
    return await retrying(lambda: api.post(where, document, key=key))


def _request(found: Mapping[str, Any], action: str, reason: str, data: Any) -> tuple[str, dict[str, Any]]:
    if action in ("resume", "skip"):
        where = path("actors", *split(found["address"]), "resume")
        return where, {"reason": reason, "skip": action == "skip"}
    if action in ("succeeded", "failed"):
        document = {"status": action, "reason": reason}
        return path("effects", found["subject"], "resolve"), document if data is None else {**document, "outcome": data}
    document = {"action": action, "reason": reason}
    where = path("dead-letters", str(found["opened_position"]), "resolve")
    return where, document if data is None else {**document, "event": data}
