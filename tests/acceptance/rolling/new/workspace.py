"""The tally later: what was counted has a unit now, and its event another shape."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from actors import Kind, Message, Plugin, Reply, versioned


class Count(Struct, frozen=True):
    by: int


class Counted(Struct, frozen=True):
    amount: int
    unit: str


class State(Struct):
    total: int = 0
    units: list[str] = []


def upcast(data: dict[str, Any]) -> dict[str, Any]:
    """From schema 1."""
    return {"amount": data["by"], "unit": "piece"}


def decide(state: State, message: Message) -> list[Any]:
    by = message.data.by
    return [Counted(by, "piece"), Reply({"total": state.total + by, "code": "new"})]


def evolve(state: State, event: Counted) -> State:
    state.total += event.amount
    if event.unit not in state.units:
        state.units = [*state.units, event.unit]
    return state


counted = versioned(Counted, schema=2, upcasters={1: upcast})
tally = Kind("tally", state=State, decide=decide, evolve=evolve, messages=[Count], events=[counted], snapshot_every=5)
plugin = Plugin(kinds=[tally])
