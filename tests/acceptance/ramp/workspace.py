"""Many actors, each with a call to the world that does not return before the gate is open."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from msgspec import Struct

from actors import Attempt, Effect, EffectKind, Kind, Message, Outcome, Plugin, Tell

PLACE = Path(os.environ["THESPIS_RAMP"])
TAKES = 0.02


class Start(Struct, frozen=True):
    first: int
    number: int


class Begin(Struct, frozen=True):
    pass


class Began(Struct, frozen=True):
    pass


class Done(Struct, frozen=True):
    status: str


class State(Struct):
    events: int = 0


class Request(Struct, frozen=True):
    pass


def starter(state: State, message: Message) -> list[Any]:
    start = message.data
    return [Began(), *(Tell(f"waiter/{n}", Begin()) for n in range(start.first, start.first + start.number))]


def waiter(state: State, message: Message) -> list[Any]:
    if isinstance(message.data, Outcome):
        return [Done(message.data.status)]
    return [Began(), Effect("slow", Request())]


def count(state: State, event: Any) -> State:
    state.events += 1
    return state


async def slow(request: Request, attempt: Attempt) -> Any:
    while not (PLACE / "gate").exists():
        await asyncio.sleep(0.2)
    descriptor = os.open(PLACE / "calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{attempt.effect}\n".encode())
    finally:
        os.close(descriptor)
    await asyncio.sleep(TAKES)


plugin = Plugin(
    kinds=[
        Kind("starter", state=State, decide=starter, evolve=count, messages=[Start], events=[Began]),
        Kind("waiter", state=State, decide=waiter, evolve=count, messages=[Begin, Outcome], events=[Began, Done]),
    ],
    effects=[
        EffectKind("slow", request=Request, perform=slow, effect_class="idempotent", timeout=3600, concurrency=256)
    ],
)
