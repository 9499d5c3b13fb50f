"""Context variables of every scope: of runs, conversations, agents, channels, tenants and the platform."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from events.agents import CONTEXT_EVENTS, VariableDeclared, VariableRemoved, VariableSet
from events.envelope import Event
from projections.core.definition import Projection, Ref, Table
from projections.core.rows import Rows
from projections.timeline import text

VARIABLES: Final = Table(
    "variables",
    {
        "tenant": str,
        "holder": str,
        "name": str,
        "schema": str,
        "merge": str,
        "secret": bool,
        "value": str | None,
        "at": int,
        "by": str,
    },
    key=("tenant", "holder", "name"),
)
"""`holder` is the actor of the scope: `run/7`, `conversation/c`, `variables/tenant.default`. `value` and `schema` are
JSON; without a value it is null. The value of a secret is a reference to it."""

_encode: Final = msgspec.json.Encoder().encode


def keys(event: Event, data: Any) -> list[Ref]:
    """The variable."""
    return [(VARIABLES, (event.tenant, event.stream, data.name))]


def apply(rows: Rows, event: Event, data: Any) -> None:
    """It is declared, has another value, or none any more."""
    row = rows.get(VARIABLES, event.tenant, event.stream, data.name) or {
        "tenant": event.tenant, "holder": event.stream, "name": data.name, "schema": "{}", "merge": "last",
        "secret": False, "value": None,
    }  # fmt: skip
    match data:
        case VariableDeclared():
            row |= {"schema": _encode(data.schema).decode(), "merge": data.merge, "secret": data.secret}
        case VariableSet():
            row["value"] = _encode(data.value).decode()
        case VariableRemoved():
            row["value"] = None
        case _:
            return
    rows.put(VARIABLES, {**row, "at": data.at, "by": text(data.by)})


PROJECTION = Projection(
    "variables", version=1, tables=[VARIABLES], types=CONTEXT_EVENTS, keys=keys, apply=apply,
    reads=("tenant", "stream"),
)  # fmt: skip
