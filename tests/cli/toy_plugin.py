"""What an installed package with a plugin looks like."""

from __future__ import annotations

from typing import Any

import msgspec

from actors import Kind, Message, Plugin


class Seen(msgspec.Struct, frozen=True):
    what: str


class Toy(msgspec.Struct):
    seen: int = 0


def decide(state: Toy, message: Message) -> list[Any]:
    return [Seen(message.type)]


def evolve(state: Toy, event: Any) -> Toy:
    state.seen += 1
    return state


plugin = Plugin(kinds=[Kind("toy", state=Toy, decide=decide, evolve=evolve, events=[Seen])])
wrong = 5
