"""A turn, from what somebody writes to what they are answered."""

from __future__ import annotations

from events.conversations import TurnEnded, TurnReplied
from tests.conversations.place import Room, World, run


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


def test_tools_of_one_step_are_all_awaited_and_shown_in_the_order_they_were_asked_for() -> None:
    world = World()

    async def script(room: Room) -> None:
        await room.say('use look {"what":"x"}\nuse write {"text":"y"}')
        await room.quiet()
        assert (await room.only(TurnReplied))[0].text == 'tools said look({"what":"x"}), write({"text":"y"})'
        assert world.done == {"call/c.1.1": 1, "call/c.1.2": 1}

    run(script, world=world)
