"""A tally, as it was first written."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from actors import Kind, Message, Plugin, Reply


class Count(Struct, frozen=True):
    by: int


class Counted(Struct, frozen=True):
    by: int


class State(Struct):
    total: int = 0


def decide(state: State, message: Message) -> list[Any]:
    by = message.data.by
    return [Counted(by), Reply({"total": state.total + by, "code": "old"})]


def evolve(state: State, event: Counted) -> State:
    state.total += event.by
    return state


tally = Kind("tally", state=State, decide=decide, evolve=evolve, messages=[Count], events=[Counted], snapshot_every=5)
plugin = Plugin(kinds=[tally])
