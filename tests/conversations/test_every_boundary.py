"""The host is lost just before and just after every write, from "message accepted" to "answer delivered".

A second one takes over. Nothing that was acknowledged is lost, no turn is doubled, no tool is used twice, and but for
attempts, hosts and times the end is the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from actors.agents.conversation.state import Conversation
from actors.agents.definition.plan import AgentDefinition, Budgets, GuardRule, Limits
from actors.agents.messages import CloseConversation, InterruptTurn, SetBudget
from events.conversations import (
    MessageTurnedAway,
    ModelAsked,
    ModelLost,
    OutboundDelivered,
    OutboundIntended,
    TurnEnded,
    TurnReplied,
    TurnStarted,
)
from tests.conversations.place import Agree, Room, World, definition, run

Script = Callable[[Room], Awaitable[None]]


async def plain(room: Room) -> None:
    await room.say("hello", key="1")
    await room.quiet()


async def with_tools(room: Room) -> None:
    await room.say('use look {"what":"x"}\nuse write {"text":"y"}', key="1")
    await room.quiet()
    await room.say('use look {"what":"z"}', key="2")
    await room.quiet()


async def approved(room: Room) -> None:
    await room.say('use write {"text":"agree"}', key="1")
    await room.until("ToolWaits")
    await room.insist("call/c.1.1", Agree())
    await room.quiet()


async def three_in_a_row(room: Room) -> None:
    for n in range(3):
        await room.say(f"message {n}\nuse look {{}}", key=str(n))
    await room.quiet()


async def interrupted_by_hand(room: Room) -> None:
    await room.say("hello", key="1")
    await room.until("ModelAsked")
    await room.insist("conversation/c", InterruptTurn())
    await room.say("again", key="2")
    await room.quiet()


async def closed(room: Room) -> None:
    await room.say("hello", key="1")
    await room.say("waits", key="2")
    await room.until("ModelAsked")
    await room.insist("conversation/c", CloseConversation())
    await room.quiet()


async def pushed(room: Room) -> None:
    await room.open(channel="telegram:1")
    await room.say("hello", key="1", channel="telegram:1")
    await room.say("there", key="2", channel="telegram:1")
    await room.quiet()


async def paid(room: Room) -> None:
    await room.insist("budget/agent.ada", SetBudget("5"))
    await room.say("hello", key="1")
    await room.say("again", key="2")
    await room.quiet()
    await room.settle()


def opened(policy: str) -> Script:
    async def script(room: Room) -> None:
        await room.open(policy=policy)
        await three_in_a_row(room)

    return script


CASES: dict[str, tuple[Script, AgentDefinition]] = {
    "a plain turn": (plain, definition()),
    "tools": (with_tools, definition()),
    "an approval": (approved, definition()),
    "enqueue": (opened("enqueue"), definition()),
    "a channel that is pushed": (pushed, definition()),
    "budgets": (paid, definition(budgets=Budgets(agent="5", conversation="1", cause="1"))),
    "context variables": (plain, definition(visible=["tone", "tenant.plan"])),
    "guards that hold": (plain, definition(guards={
        "inbound": [GuardRule("pii", "hold", {"least": 0.0})], "output": [GuardRule("encoding", "observe")]})),
    "a summary by a model": (three_in_a_row, definition(summary="model", limits=Limits(compact_above=10))),
}  # fmt: skip


RACES: dict[str, Script] = {
    "merge": opened("merge"),
    "interrupt": opened("interrupt"),
    "interrupted by hand": interrupted_by_hand,
    "closed": closed,
}
"""Where it depends on the time a takeover takes which messages are answered together."""


def end(state: Conversation, room: Room, facts: list[Any]) -> dict[str, Any]:
    """All that must be the same however often a host was lost."""
    replies = [fact.text for fact in facts if isinstance(fact, TurnReplied)]
    delivered = [fact.number for fact in facts if isinstance(fact, OutboundDelivered)]
    lost = any(isinstance(fact, ModelLost) for fact in facts)
    return {
        "status": state.status, "messages": state.messages, "recent": state.recent, "turns": state.turns,
        "history": [msgspec.structs.replace(past, tools=[]) for past in state.history], "summary": state.summary,
        "replies": replies, "delivered": delivered, "sent": [d.number for d in room.world.sent],
        "done": {name: 1 if name else 0 for name in room.world.results}, "lost": lost and None,
    }  # fmt: skip


def played(script: Script, agent: AgentDefinition, strike: tuple[int, bool] | None) -> tuple[Any, list[int]]:
    world = World()

    async def main(room: Room) -> Any:
        await script(room)
        assert all(count == 1 for count in world.done.values()), f"a tool was used twice: {world.done}"
        return end(await room.talk(), room, await room.facts())

    boundaries: list[int] = []
    return run(main, world=world, strike=strike, boundaries=boundaries, agent=agent), boundaries


@pytest.mark.parametrize("case", CASES)
def test_the_host_may_be_lost_at_every_boundary(case: str) -> None:
    script, agent = CASES[case]
    whole, boundaries = played(script, agent, None)
    assert len(boundaries) >= 4
    for boundary in boundaries:
        for before in (False, True):
            there, _ = played(script, agent, (boundary, before))
            where = f"the host was lost {'before' if before else 'after'} event {boundary} was written"
            there["lost"] = whole["lost"] = None
            assert there == whole, where


@pytest.mark.parametrize("case", RACES)
def test_double_texting_loses_and_doubles_nothing_wherever_the_host_is_lost(case: str) -> None:
    boundaries: list[int] = []
    run(RACES[case], boundaries=boundaries)
    for boundary in boundaries:
        for before in (False, True):
            world = World()

            async def main(room: Room) -> tuple[Conversation, list[Any]]:
                await RACES[case](room)
                return await room.talk(), await room.facts()

            state, facts = run(main, world=world, strike=(boundary, before))
            assert_told_once(state, facts, world)


def assert_told_once(state: Conversation, facts: list[Any], world: World) -> None:
    """Every message is in one turn, in order, or was turned away; every turn ended once; every answer went out once."""
    away = [fact.id for fact in facts if isinstance(fact, MessageTurnedAway)]
    taken = [number for fact in facts if isinstance(fact, TurnStarted) for number in fact.messages]
    assert taken == list(range(1, state.messages - len(away) + 1))
    ended = [fact.turn for fact in facts if isinstance(fact, TurnEnded)]
    assert ended == list(range(1, state.turns + 1))
    replied = [fact.turn for fact in facts if isinstance(fact, TurnReplied)]
    assert replied == [fact.turn for fact in facts if isinstance(fact, TurnEnded) and fact.status == "replied"]
    delivered = [fact.number for fact in facts if isinstance(fact, OutboundDelivered)]
    intended = [fact for fact in facts if isinstance(fact, OutboundIntended)]
    assert delivered == [fact.number for fact in intended] == list(range(1, len(intended) + 1))
    failed = [fact.turn for fact in facts if isinstance(fact, TurnEnded) and fact.status == "failed"]
    for kind, turns in (("reply", replied), ("failure", failed)):
        assert [fact.turn for fact in intended if fact.kind == kind] == turns
    assert all(count == 1 for count in world.done.values())
    asked = [fact.call for fact in facts if isinstance(fact, ModelAsked)]
    assert len(asked) == len(set(asked)) == len({call.call for call in world.asked} | set(asked))
