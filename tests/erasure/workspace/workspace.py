"""The register of people as a workspace, with a read model that is full of what is personal and quotes it."""

from __future__ import annotations

from typing import Any

import msgspec

from actors import Plugin
from events import Erased
from projections import Projection, Table

from . import people
from .people import Registered

DIRECTORY = Table("directory", {"tenant": str, "email": str, "place": str}, key=("tenant", "email", "place"))


def _email(event: Any) -> str:
    email = msgspec.json.decode(event.data)["email"]
    return email if isinstance(email, str) else "(erased)"


def apply(rows: Any, event: Any, data: Registered) -> None:
    if isinstance(data.email, Erased):
        return
    if event.stream == "book/4":
        raise ValueError(f"{data.email} is not wanted here")
    rows.put(DIRECTORY, {"tenant": event.tenant, "email": data.email, "place": event.stream})


strict = Projection(
    "strict",
    version=1,
    tables=[DIRECTORY],
    types=[Registered],
    apply=apply,
    park_key=_email,
    reads=("tenant", "stream", "data"),
)
plugin = Plugin(
    kinds=people.plugin.kinds, effects=people.plugin.effects, events=people.plugin.events,
    projections=[*people.plugin.projections, strict],
)  # fmt: skip
__all__ = ["plugin"]
