"""Posts, interruptions, lost hosts and failing models in any order: nothing is lost, doubled or left lying."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

import pytest

from actors.agents.definition.plan import Budgets, Limits
from actors.agents.messages import InterruptTurn
from actors.agents.replaying import rerun
from events.conversations import MessageReceived, ModelAnswered, ModelLost, TurnEnded, TurnStarted
from events.errors import Refused
from events.models import ModelAnswer, ModelFailure, ModelRequest
from tests.conversations.place import Room, World, conversation, definition, echo, run
from tests.conversations.test_every_boundary import assert_told_once

POLICIES = ("enqueue", "merge", "interrupt", "reject")


def erratic(random: Random) -> World:
    """A model that is sometimes slow and sometimes fails."""

    def model(request: ModelRequest) -> ModelAnswer | ModelFailure:
        return ModelFailure("server", "down") if random.random() < 0.1 else echo(request)

    world = World(model)
    world.seconds = lambda _call: random.choice((0.0, 0.1, 1.0, 7.0))
    return world


def played(seed: int) -> None:
    random = Random(seed)
    policy = random.choice(POLICIES)
    paid = random.random() < 0.4
    made = definition(
        budgets=Budgets(conversation="9") if paid else Budgets(),
        visible=["tone"] if random.random() < 0.3 else [],
        limits=Limits(compact_above=random.choice((0, 30)), at_once=random.choice((1, 64))),
        summary=random.choice(("extract", "model")),
    )
    world = erratic(random)
    channel = random.choice(("http", "telegram:1"))

    async def script(room: Room) -> None:
        await room.open(policy=policy, channel=channel)
        posted = 0
        for n in range(random.randrange(4, 12)):
            what = random.random()
            if what < 0.6:
                text = f"message {n}" + ("\nuse look {}" if random.random() < 0.4 else "")
                with suppress(Refused):
                    await room.say(text, key=str(n), channel=channel)
                    posted += 1
            elif what < 0.75:
                await room.insist("conversation/c", InterruptTurn())
            elif what < 0.85:
                await room.replace_host()
            else:
                await asyncio.sleep(random.choice((0.01, 0.3, 2.0)))
        state = await room.quiet()
        await room.advance(10)
        facts = await room.facts()
        assert len([f for f in facts if isinstance(f, MessageReceived)]) == posted
        if channel == "http":
            assert_told_once(state, facts, world)
        taken = [number for f in facts if isinstance(f, TurnStarted) for number in f.messages]
        assert taken == list(range(1, posted + 1))
        assert [f.turn for f in facts if isinstance(f, TurnEnded)] == list(range(1, state.turns + 1))
        assert all(count == 1 for count in world.done.values())
        assert (await room.state("agent/ada")).get("active", {}) == {}
        if paid and state.turns:
            budget = await room.state("budget/conversation.c")
            answered = sum(0.01 for f in facts if isinstance(f, ModelAnswered))
            lost = sum(0.05 for f in facts if isinstance(f, ModelLost))
            assert budget.get("reserved", {}) == {}
            assert float(budget.get("spent", "0")) == pytest.approx(answered + lost)
        if state.turns:
            assert rerun(await room.log(), 1, conversation.decide).divergence is None

    run(script, world=world, agent=made, seed=seed)


@pytest.mark.parametrize("part", range(6))
def test_any_order_of_events_ends_well(part: int) -> None:
    for seed in range(part * 25, part * 25 + 25):
        played(seed)


@pytest.mark.long
@pytest.mark.parametrize("part", range(40))
def test_any_order_of_events_ends_well_a_thousand_times(part: int) -> None:
    for seed in range(1_000 + part * 25, 1_025 + part * 25):
        played(seed)
