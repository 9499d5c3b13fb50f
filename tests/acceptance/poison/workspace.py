"""The torture's actors, and traps beside them: what a trap is told to do ends its host, or fails."""

from __future__ import annotations

import os
import signal
from typing import Any

from msgspec import Struct

from actors import Kind, Message, Plugin, Tell
from actors.core.kind import merge
from gateway.torture.workspace import plugin as torture


class Spring(Struct, frozen=True):
    """To a trap: hang, die, grow or raise; anything else does no harm."""

    how: str


class Set(Struct, frozen=True):
    """To a trapper: have a trap sprung by a tell, which is tried again whatever happens."""

    trap: str
    how: str


class Sprung(Struct, frozen=True):
    how: str


class State(Struct):
    events: int = 0


def trap(state: State, message: Message) -> list[Any]:
    more: list[bytes] = []
    match message.data.how:
        case "hang":
            while True:
                pass
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "grow":
            while True:
                more.append(b"x" * 1_000_000)
        case "raise":
            raise RuntimeError("sprung")
        case _:
            pass
    return [Sprung(message.data.how)]


def trapper(state: State, message: Message) -> list[Any]:
    return [Sprung("set"), Tell(message.data.trap, Spring(message.data.how))]


def count(state: State, event: Sprung) -> State:
    state.events += 1
    return state


plugin = merge([
    torture,
    Plugin(kinds=[
        Kind("trap", state=State, decide=trap, evolve=count, messages=[Spring], events=[Sprung]),
        Kind("trapper", state=State, decide=trapper, evolve=count, messages=[Set], events=[Sprung]),
    ]),
])  # fmt: skip
