"""Ten thousand open conversations are cheap: what one that waits keeps is small, and does not grow."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec

from actors.agents.conversation.fold import evolve
from actors.agents.conversation.state import Conversation
from actors.agents.definition.plan import Limits
from actors.core.kind import encode_state
from events.envelope import Event
from tests.conversations.place import KINDS, NAMES, Room, definition, run

KIB = 1024


def one_turn() -> list[Event]:
    async def script(room: Room) -> list[Event]:
        await room.say("hello")
        await room.quiet()
        return await room.log()

    return run(script, agent=definition(instructions="You are Ada. " * 400))


def folded(events: list[Event]) -> Conversation:
    state = Conversation()
    for event in events:
        if event.type in NAMES:
            state = evolve(state, KINDS.decode(event.type, event.schema, event.data))
    return state


def test_ten_thousand_idle_conversations_share_their_definition_and_are_small() -> None:
    events = one_turn()
    folded(events)
    tracemalloc.start()
    many = [folded(events) for _ in range(10_000)]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(many) < 3 * KIB
    assert len({id(state.definition) for state in many}) == 1


def test_the_state_of_a_long_conversation_does_not_grow() -> None:
    async def script(room: Room) -> Any:
        sizes: list[int] = []
        for n in range(400):
            await room.say(f"message {n} " + "x" * 300)
            await room.quiet()
            if n in (150, 399):
                sizes.append(len(encode_state(await room.talk())))
        state = await room.talk()
        assert (len(state.recent), state.messages) == (256, 400)
        return sizes

    early, late = run(script, agent=definition(limits=Limits(compact_above=1000)))
    assert late < early * 1.6


def test_what_is_kept_can_be_kept_as_a_snapshot() -> None:
    state = folded(one_turn())
    again = msgspec.json.decode(encode_state(state), type=Conversation)
    assert encode_state(again) == encode_state(state)
