"""A counter: it adds up what it is told, and never goes below zero."""

from __future__ import annotations

from typing import Any

import msgspec

from actors import Kind, Message, Refused, Reply


class Add(msgspec.Struct, frozen=True):
    """A message: please add `by`."""

    by: int


class Added(msgspec.Struct, frozen=True):
    """An event: it was added. What is recorded stays for ever, so name it in the past and change it never."""

    by: int


class Counter(msgspec.Struct):
    """The state of one counter."""

    total: int = 0


def decide(state: Counter, message: Message) -> list[Any]:
    """A choice: what happens, and what to answer. No clock, no chance, no call to anything outside."""
    match message.data:
        case Add(by) if state.total + by < 0:
            raise Refused(f"{by} would leave less than nothing", code="below-zero")
        case Add(by):
            return [Added(by), Reply({"total": state.total + by})]
        case _:
            return []


def evolve(state: Counter, event: Any) -> Counter:
    """A fact: what an event changes."""
    match event:
        case Added(by):
            state.total += by
        case _:
            pass
    return state


counter = Kind("counter", state=Counter, decide=decide, evolve=evolve, messages=[Add], events=[Added])
