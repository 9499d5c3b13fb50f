"""Models that do not answer, and how far a turn may go."""

from __future__ import annotations

import msgspec

from actors.agents.definition.plan import Budgets, Limits
from events.conversations import (
    AnswerRejected,
    ModelAnswered,
    ModelAsked,
    ModelFailed,
    ModelLost,
    ToolAnswered,
    TurnAdmitted,
    TurnEnded,
    TurnReplied,
    TurnStuck,
)
from events.models import Cost, ModelAnswer, ModelFailure, ModelRequest, ModelResult
from tests.conversations.place import Room, World, definition, run, says


def test_a_failed_model_fails_the_turn_with_its_kind() -> None:
    async def script(room: Room) -> None:
        await room.say("hello")
        await room.quiet()
        ended = (await room.only(TurnEnded))[0]
        assert (ended.status, ended.code, ended.reason) == ("failed", "model-auth", "who are you?")
        await room.say("again")
        await room.quiet()
        assert len(await room.only(TurnEnded)) == 2

    run(script, world=World(lambda _: ModelFailure("auth", "who are you?")))


def test_a_prompt_that_is_too_long_for_the_model_is_shortened() -> None:
    def model(request: ModelRequest) -> ModelAnswer | ModelFailure:
        size = sum(len(m.text) for m in request.messages)
        return ModelFailure("context-length", "too long") if size > 600 else says("fine")

    async def script(room: Room) -> None:
        await room.say("x" * 3000)
        await room.quiet()
        assert len(await room.only(ModelFailed)) == 2
        assert (await room.only(TurnReplied))[0].text == "fine"

    run(script, world=World(model), agent=definition(limits=Limits(context_tokens=1600)))


def test_a_call_lost_with_its_host_is_made_again_and_its_estimate_counts() -> None:
    world = World()
    world.seconds = lambda call: 100.0 if call.attempt < 3 else 0.5

    async def script(room: Room) -> None:
        await room.say("hello")
        for n in (1, 2):
            await room.until("ModelAsked", n)
            await room.settle()
            await room.replace_host()
        await room.quiet()
        lost = await room.only(ModelLost)
        assert [(e.attempt, e.estimate) for e in lost] == [(1, "0.05"), (2, "0.05")]
        assert (await room.only(TurnEnded))[0].cost == "0.11"
        assert len({asked.digest for asked in await room.only(ModelAsked)}) == 1

    run(script, world=world)


def test_three_lost_calls_fail_the_turn() -> None:
    world = World()
    world.seconds = lambda _: 1000.0

    async def script(room: Room) -> None:
        await room.say("hello")
        for n in (1, 2, 3):
            await room.until("ModelAsked", n)
            await room.settle()
            await room.replace_host()
        await room.quiet()
        assert (await room.only(TurnEnded))[0].code == "model-lost"

    run(script, world=world)


def test_an_empty_answer_is_asked_for_again() -> None:
    answers = iter([says(""), says("  "), says("here")])

    async def script(room: Room) -> None:
        await room.say("hello")
        await room.quiet()
        assert [e.code for e in await room.only(AnswerRejected)] == ["empty", "empty"]
        assert (await room.only(TurnReplied))[0].text == "here"

    run(script, world=World(lambda _: next(answers)))


def test_a_turn_takes_no_more_steps_than_allowed_and_the_last_one_has_no_tools() -> None:
    world = World(lambda _: says("", ("look", "{}")))

    async def script(room: Room) -> None:
        await room.say("hello")
        await room.quiet()
        assert (await room.only(TurnEnded))[0].code == "steps"
        assert [call.request.tool_choice for call in world.asked] == ["auto", "auto", "none"]

    run(script, world=world, agent=definition(limits=Limits(max_steps=3)))


def test_tool_calls_beyond_the_limit_are_refused() -> None:
    world = World()

    async def script(room: Room) -> None:
        await room.say("use look {}\nuse look {}\nuse look {}")
        await room.quiet()
        assert [e.status for e in sorted(await room.only(ToolAnswered), key=lambda e: e.ordinal)] == [
            "succeeded", "succeeded", "refused",
        ]  # fmt: skip
        assert len(world.done) == 2

    run(script, world=world, agent=definition(limits=Limits(max_tool_calls=2)))


def test_a_turn_that_makes_no_progress_is_said_to_be_stuck_and_ends_when_its_time_is_over() -> None:
    world = World()
    world.seconds = lambda _: 3000.0

    async def script(room: Room) -> None:
        await room.say("hello")
        stuck = await room.until("TurnStuck")
        assert b"model-call c.1.1.1" in stuck.data
        await room.settle()
        assert len([e for e in await room.events() if e.type == "AgentTurnStuck"]) == 1
        await room.quiet()
        ended = (await room.only(TurnEnded))[0]
        assert (ended.code, ended.at - (await room.only(TurnAdmitted))[0].at) == ("timeout", 40_000_000)
        assert len(await room.only(TurnStuck)) == 1

    run(script, world=world, agent=definition(limits=Limits(stuck_after=10.0, turn_timeout=40.0)))


def test_what_a_lost_call_cost_takes_the_place_of_its_estimate_when_it_becomes_known() -> None:
    world = World()
    world.seconds = lambda call: 1000.0 if call.attempt == 1 else 0.5

    async def script(room: Room) -> None:
        await room.say("hello")
        await room.until("ModelAsked")
        await room.settle()
        await room.replace_host()
        await room.quiet()
        unknown = next(msgspec.json.decode(e.data) for e in await room.log() if e.type == "EffectUnknown")
        result = ModelResult("fake:one", says("too late"), cost=Cost("0.03"))
        outcome = msgspec.json.encode({"result": result})
        await room.hosts[0].resolve("default", unknown["effect"], "succeeded", outcome, "user:test", "looked")
        await room.settle()
        answered = await room.only(ModelAnswered)
        assert [(a.attempt, a.cost, a.late) for a in answered] == [(2, "0.01", False), (1, "0.03", True)]
        assert (await room.state("budget/conversation.c"))["spent"] == "0.04"
        assert (await room.talk()).calls == []
        assert [r.text for r in await room.only(TurnReplied)] == ["you said hello"]

    run(script, world=world, agent=definition(budgets=Budgets(conversation="9")))
