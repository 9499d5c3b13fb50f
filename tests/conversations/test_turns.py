"""A turn, from what somebody writes to what they are answered."""

from __future__ import annotations

import pytest

from actors.agents.messages import (
    OpenConversation,
    Post,
)
from events.conversations import (
    ConversationOpened,
    MessageReceived,
    ToolAnswered,
    ToolAsked,
    TurnEnded,
    TurnReplied,
    TurnStuck,
)
from events.errors import Refused
from events.models import ModelAnswer, ModelRequest, ToolUse
from tests.conversations.place import Agree, PostTo, Room, World, run, says


def test_a_message_is_answered() -> None:
    async def script(room: Room) -> None:
        assert await room.say("hello") == {"number": 1, "turn": 1, "status": "started"}
        await room.quiet()
        assert [type(fact).__name__ for fact in await room.facts()] == [
            "ConversationOpened", "MessageReceived", "TurnStarted", "TurnAdmitted", "AgentAdopted", "ContextAssembled",
            "ModelAsked", "ModelAnswered", "TurnReplied", "OutboundIntended", "OutboundAttempted", "OutboundDelivered",
            "TurnEnded",
        ]  # fmt: skip
        assert (await room.only(TurnReplied))[0].text == "you said hello"
        ended = (await room.only(TurnEnded))[0]
        assert (ended.status, ended.usage, ended.cost, ended.model_calls) == (
            "replied", {"input": 10, "output": 5}, "0.01", 1,
        )  # fmt: skip

    run(script)


def test_a_repeated_message_is_answered_like_the_first_and_starts_nothing() -> None:
    async def script(room: Room) -> None:
        assert (await room.say("hello", key="1"))["status"] == "started"
        assert await room.say("hello", key="1") == {"number": 1, "turn": 1, "status": "repeated"}
        await room.quiet()
        assert await room.say("hello", key="1") == {"number": 1, "turn": 0, "status": "repeated"}
        assert len(await room.only(MessageReceived)) == 1

    run(script)


def test_the_model_is_shown_what_was_said_before() -> None:
    world = World()

    async def script(room: Room) -> None:
        await room.say("one")
        await room.quiet()
        await room.say("two")
        await room.quiet()
        last = world.asked[-1].request.messages
        assert [(m.role, m.text) for m in last] == [
            ("system", "You are Ada."), ("user", "one"), ("assistant", "you said one"), ("user", "two"),
        ]  # fmt: skip

    run(script, world=world)


def test_tools_of_one_step_are_all_awaited_and_shown_in_the_order_they_were_asked_for() -> None:
    world = World()

    async def script(room: Room) -> None:
        await room.say('use look {"what":"x"}\nuse write {"text":"y"}')
        await room.quiet()
        assert (await room.only(TurnReplied))[0].text == 'tools said look({"what":"x"}), write({"text":"y"})'
        assert world.done == {"call/c.1.1": 1, "call/c.1.2": 1}
        roles = [m.role for m in world.asked[-1].request.messages]
        assert roles == ["system", "user", "assistant", "tool", "tool"]

    run(script, world=world)


def test_a_tool_that_is_not_the_agents_is_refused_and_the_model_told() -> None:
    world = World()

    async def script(room: Room) -> None:
        await room.say("use rocket {}")
        await room.quiet()
        assert (await room.only(ToolAnswered))[0].status == "refused"
        assert (await room.only(TurnReplied))[0].text == "tools said There is no tool 'rocket'."
        assert world.done == {}

    run(script, world=world)


def test_an_argument_is_trusted_when_the_person_wrote_it_and_not_when_a_tool_did() -> None:
    def model(request: ModelRequest) -> ModelAnswer:
        results = sum(m.role == "tool" for m in request.messages)
        if results == 0:
            return says("", ("look", '{"what":"ada.txt"}'))
        if results == 1:
            return says("", ("write", '{"text":"evil@example.org"}'), ("write", '{"text":"ada.txt"}'))
        return says("done")

    async def script(room: Room) -> None:
        await room.say("please read ada.txt for me")
        await room.quiet()
        labels = [asked.label for asked in await room.only(ToolAsked)]
        assert labels == ["trusted/private", "untrusted/private", "trusted/private"]
        assert (await room.only(TurnReplied))[0].label == "untrusted/private"

    run(script, world=World(model))


def test_turns_wait_for_people_as_long_as_it_takes() -> None:
    world = World()

    async def script(room: Room) -> None:
        await room.say('use write {"text":"agree"}')
        await room.until("ToolWaits")
        await room.advance(86_400)
        assert await room.only(TurnStuck) == []
        looks = [e for e in await room.log() if e.type == "MessageHandled"]
        assert len(looks) < 30, "nobody looks every other minute"
        await room.insist("call/c.1.1", Agree())
        await room.quiet()
        assert (await room.only(TurnEnded))[0].status == "replied"
        assert world.done == {"call/c.1.1": 1}

    run(script, world=world)


def test_an_actor_that_posted_is_told_what_came_of_it() -> None:
    async def script(room: Room) -> None:
        post = Post("1", "hello", "ada", "actor", ref="mine")
        await room.insist("listener/l", PostTo("conversation/c", post))
        await room.until("TurnEnded")
        await room.settle()
        told = (await room.state("listener/l"))["said"][-1]
        assert (told["ref"], told["status"], told["text"], told["conversation"]) == (
            "mine", "replied", "you said hello", "conversation/c",
        )  # fmt: skip

    run(script)


def test_a_parent_is_told_once_at_the_end_of_each_turn() -> None:
    async def script(room: Room) -> None:
        await room.open(parent="listener/l")
        await room.say("one")
        await room.say("two")
        await room.quiet()
        await room.settle()
        assert [t["turn"] for t in (await room.state("listener/l"))["said"]] == [1, 2]

    run(script)


def test_a_conversation_talks_to_one_agent() -> None:
    async def script(room: Room) -> None:
        assert await room.open() == {"conversation": "c", "agent": "ada"}
        assert await room.open() == {"conversation": "c", "agent": "ada"}
        with pytest.raises(Refused, match="talks to ada"):
            await room.insist("conversation/c", OpenConversation("bob"))
        with pytest.raises(Refused, match="name an agent"):
            await room.insist("conversation/d", Post("1", "hello"))
        assert len(await room.only(ConversationOpened)) == 1

    run(script)


def test_a_conversation_goes_through_channels_that_there_are() -> None:
    async def script(room: Room) -> None:
        for channel in ("pigeon", "telegram:a b", ""):
            with pytest.raises(Refused) as refused:
                await room.open(channel=channel)
            assert refused.value.reason_code == "channel"

    run(script)


def test_uses_of_tools_have_ids_of_their_own_though_the_model_gives_none() -> None:
    def model(request: ModelRequest) -> ModelAnswer:
        if request.messages[-1].role == "tool":
            return says(" ".join(f"{m.tool_use}={m.text}" for m in request.messages if m.role == "tool"))
        uses = [ToolUse("", "look", '{"what":"x"}'), ToolUse("", "look", '{"what":"y"}')]
        return ModelAnswer("", uses)

    async def script(room: Room) -> None:
        await room.say("hello")
        await room.quiet()
        assert (await room.only(TurnReplied))[0].text == 'use1x1=look({"what":"x"}) use1x2=look({"what":"y"})'

    run(script, world=World(model))
