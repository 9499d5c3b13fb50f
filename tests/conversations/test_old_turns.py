"""Old turns are summarised, prompts stay within the window, the state stays as it is."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from actors.agents.definition.plan import Limits
from events.conversations import (
    ContextAssembled,
    HistoryCompacted,
    ModelAnswered,
    TurnEnded,
)
from events.models import ModelAnswer, ModelFailure, ModelRequest
from tests.conversations.place import Room, World, definition, echo, run, says


@pytest.mark.parametrize("by", ["extract", "model"])
def test_old_turns_are_summarised_by_name_and_leave_the_state(by: str) -> None:
    def model(request: ModelRequest) -> ModelAnswer:
        summary = request.messages[0].text.startswith("Summarise")
        return says("they counted") if summary else says("yes, " + request.messages[-1].text)

    async def script(room: Room) -> None:
        for n in range(12):
            await room.say(f"number {n} " + "x" * 200)
            await room.quiet()
        compacted = await room.only(HistoryCompacted)
        assert compacted[0].first == 1
        assert all(one.last < other.last for one, other in pairwise(compacted))
        assert {c.by for c in compacted} == {"fake:one" if by == "model" else "extract"}
        state = await room.talk()
        assert state.summary is not None
        assert [p.turn for p in state.history] == list(range(state.summary.last + 1, 13))
        shown = room.world.asked[-1].request.messages[1].text
        assert shown.startswith(f"Summary of turns 1 to {state.summary.last}")
        assert len([e for e in await room.log() if e.type == "MessageReceived"]) == 12
        if by == "model":
            assert {(a.step, a.turn) for a in await room.only(ModelAnswered) if not a.step}

    run(script, world=World(model), agent=definition(summary=by, limits=Limits(compact_above=400)))


def test_the_summary_of_a_model_that_fails_is_an_extract() -> None:
    def model(request: ModelRequest) -> ModelAnswer | ModelFailure:
        summary = request.messages[0].text.startswith("Summarise")
        return ModelFailure("server", "down") if summary else says("yes")

    async def script(room: Room) -> None:
        for n in range(6):
            await room.say(f"number {n} " + "x" * 300)
            await room.quiet()
        assert {c.by for c in await room.only(HistoryCompacted)} == {"extract"}
        assert {e.status for e in await room.only(TurnEnded)} == {"replied"}

    run(script, world=World(model), agent=definition(summary="model", limits=Limits(compact_above=200)))


def test_prompts_stay_within_the_window_whatever_is_said() -> None:
    made = definition(limits=Limits(context_tokens=1200))

    async def script(room: Room) -> None:
        await room.say("z" * 50_000)
        await room.quiet()
        await room.say("use look " + '{"what":"' + "y" * 20_000 + '"}')
        await room.quiet()
        for assembled in await room.only(ContextAssembled):
            assert sum(s.tokens for s in assembled.sections) == assembled.tokens
            assert assembled.tokens <= 1200
        assert any(s.cut and s.why for a in await room.only(ContextAssembled) for s in a.sections)

    run(script, agent=made, world=World(lambda request: says("ok") if len(request.messages) < 99 else echo(request)))


def test_the_state_folded_again_from_the_log_is_the_same() -> None:
    async def script(room: Room) -> None:
        for text in ("hello", "use look {}", "again"):
            await room.say(text)
        await room.quiet()
        before = await room.talk()
        await room.replace_host()
        assert msgspec.to_builtins(await room.talk()) == msgspec.to_builtins(before)

    run(script)
