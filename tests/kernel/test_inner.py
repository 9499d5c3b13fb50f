"""What only actors say to each other is forbidden from outside."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors import Kind, Message, Outcome, Plugin, Replied, Tell
from events.errors import Forbidden
from infra.memory.system import System, run_system


class Ask(msgspec.Struct, frozen=True):
    pass


class Agreed(msgspec.Struct, frozen=True):
    pass


class Asked(msgspec.Struct, frozen=True):
    pass


class Door(msgspec.Struct):
    agreed: int = 0


def decide(state: Door, message: Message) -> list[Any]:
    if isinstance(message.data, Ask):
        return [Asked(), Tell("door/b", Agreed())]
    return [Agreed()]


def evolve(state: Door, event: Any) -> Door:
    state.agreed += isinstance(event, Agreed)
    return state


door = Kind(
    "door", state=Door, decide=decide, evolve=evolve, messages=[Ask, Agreed, Outcome, Replied], inner=[Agreed],
    events=[Asked, Agreed],
)  # fmt: skip


@pytest.mark.parametrize("forged", [Agreed(), Replied("x", "door/a"), Outcome("e", "k", "x", "succeeded")])
def test_a_message_between_actors_is_forbidden_from_outside_and_taken_from_an_actor(forged: Any) -> None:
    async def script(system: System) -> None:
        with pytest.raises(Forbidden, match="by other actors only"):
            await system.ask("door/b", forged)
        await system.ask("door/a", Ask())
        await system.settle()
        assert await system.state("door/b") == {"agreed": 1}

    run_system(Plugin(kinds=[door]), script)
