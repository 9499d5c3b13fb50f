"""The model calls of a what-if: budgets let them in, what they cost is recorded, no conversation is touched."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.agents.messages import AskWhatIf, BeginWhatIf, SetBudget
from actors.agents.whatif import whatif
from actors.core.outputs import Effect, Outcome, Reply
from actors.models.port import ModelCall
from actors.testing.clock import START
from actors.testing.scenario import given
from events.errors import Refused
from events.models import ChatMessage, Cost, ModelAnswer, ModelFailure, ModelRequest, ModelResult
from events.registry import Registry
from events.whatif import WHATIF_EVENTS, WhatIfAnswered, WhatIfAsked, WhatIfBegun, WhatIfLost
from tests.conversations.place import Room, World, echo, run

NAMES = Registry(WHATIF_EVENTS)
ASK = ModelRequest([ChatMessage("user", "hello")])
BUDGETS = ["budget/agent.ada", "budget/tenant.default"]


def asked(step: int = 1, attempt: int = 1, text: str = "hello", budgets: list[str] = BUDGETS) -> AskWhatIf:
    request = ModelRequest([ChatMessage("user", text)])
    return AskWhatIf(1, step, attempt, ["fake:one"], request, "0.5", budgets)


async def begun(room: Room) -> None:
    await room.insist("whatif/w", BeginWhatIf("c", "ada", 1, {"models": ["fake:one"]}))


async def facts(room: Room) -> list[Any]:
    return [
        NAMES.decode(e.type, e.schema, e.data)
        for e in await room.events()
        if e.stream == "whatif/w" and e.type.startswith("WhatIf")
    ]


async def kinds(room: Room) -> list[str]:
    return [type(fact).__name__ for fact in await facts(room)]


async def spent(room: Room) -> list[tuple[str, dict[str, str]]]:
    states = [await room.state(address) for address in BUDGETS]
    return [(state.get("spent", "0"), state.get("reserved", {})) for state in states]


def test_a_call_is_set_aside_made_settled_and_recorded_once() -> None:
    async def script(room: Room) -> None:
        await begun(room)
        for address in BUDGETS:
            await room.insist(address, SetBudget("1"))
        said = [await room.insist("whatif/w", asked()) for _ in range(2)]
        assert said == [{"call": "w.1.1.1"}] * 2
        await room.until("WhatIfAnswered")
        await room.insist("whatif/w", asked())
        await room.settle()
        assert await kinds(room) == ["WhatIfBegun", "WhatIfAsked", "WhatIfAnswered"]
        answered = (await facts(room))[-1]
        assert (answered.answer.text, answered.cost, answered.model) == ("you said hello", "0.01", "fake:one")
        assert await spent(room) == [("0.01", {}), ("0.01", {})]
        (call,) = room.world.asked
        assert (call.actor, call.stream) == ("whatif/w", False)
        with pytest.raises(Refused, match="something else"):
            await room.insist("whatif/w", asked(text="other"))

    run(script)


def test_a_budget_with_nothing_left_lets_no_call_in_and_what_others_set_aside_is_free_again() -> None:
    async def script(room: Room) -> None:
        await begun(room)
        await room.insist(BUDGETS[0], SetBudget("1"))
        await room.insist(BUDGETS[1], SetBudget("0"))
        await room.insist("whatif/w", asked())
        await room.until("WhatIfRefused")
        await room.settle()
        refused = (await facts(room))[-1]
        assert (type(refused).__name__, refused.reason) == (
            "WhatIfRefused", "budget/tenant.default has nothing left (0 dollars)",
        )  # fmt: skip
        assert await spent(room) == [("0", {}), ("0", {})]
        assert room.world.asked == []

    run(script)


def test_a_call_that_fails_costs_nothing_and_an_unknown_price_its_estimate() -> None:
    def model(request: Any) -> Any:
        return ModelFailure("invalid", "it would not") if request.messages[-1].text == "boom" else echo(request)

    world = World(model)

    async def script(room: Room) -> None:
        await begun(room)
        await room.insist("whatif/w", asked(text="boom"))
        await room.until("WhatIfFailed")
        world.cost = None
        await room.insist("whatif/w", asked(step=2))
        await room.until("WhatIfAnswered")
        await room.settle()
        assert (await kinds(room))[-3:] == ["WhatIfFailed", "WhatIfAsked", "WhatIfAnswered"]
        assert await spent(room) == [("0.5", {}), ("0.5", {})]

    run(script, world=world)


def test_a_lost_call_counts_its_estimate_until_what_it_cost_is_known() -> None:
    ref, unknown = "model:1.1.1", Outcome("e", "model-call", "model:1.1.1", "unknown", None, "its host was lost")
    call = ModelCall("test.1.1.1", "whatif/test", 1, 1, 1, ["fake:one"], ASK, False)
    place = (1, 1, 1, "test.1.1.1")
    begun = given(whatif, WhatIfBegun("c", "ada", 1, {}, START))
    begun.when(asked(budgets=[])).then(
        WhatIfAsked(*place, ["fake:one"], ASK, START, "0.5"), Effect("model-call", call, ref=ref),
        Reply({"call": "test.1.1.1"}),
    )  # fmt: skip
    begun.when(unknown).then(WhatIfLost(*place, START, "0.5", "its host was lost"))
    begun.when(unknown).then()
    result = ModelResult("fake:one", ModelAnswer("late"), cost=Cost("0.02"))
    begun.when(Outcome("e", "model-call", ref, "succeeded", msgspec.to_builtins(result))).then(
        WhatIfAnswered(*place, "fake:one", ModelAnswer("late"), START, "0.02", late=True)
    )


def test_nothing_is_asked_in_a_what_if_that_was_not_begun_and_none_is_begun_twice_as_another() -> None:
    async def script(room: Room) -> None:
        await begun(room)
        await room.insist("whatif/w", BeginWhatIf("c", "ada", 1, {"models": ["fake:one"]}))
        with pytest.raises(Refused, match="another what-if"):
            await room.insist("whatif/w", BeginWhatIf("other", "ada", 1, {}))
        with pytest.raises(Refused, match="there is no whatif/x"):
            await room.insist("whatif/x", asked())
        assert await kinds(room) == ["WhatIfBegun"]

    run(script)
