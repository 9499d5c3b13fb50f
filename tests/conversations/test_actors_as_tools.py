"""Agents and workflows as tools of agents: asked by their actors, through the same gates, once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.agents.definition.plan import encode_definition, hash_of
from actors.agents.messages import PublishAgent
from actors.approval import Approve
from actors.testing.clock import run_virtual
from actors.tools.policy_default import DEFAULT
from actors.tools.policy_file import read_policy
from actors.workflows.plan import encode_plan
from actors.workflows.workflow import PublishWorkflow
from events.conversations import ToolAnswered, ToolWaits, TurnReplied
from events.models import ToolSpec
from gateway.agent_tools import agent_tool
from gateway.workflow_tools import workflow_tool
from infra.memory.workflows import planned
from infra.tools.effects import seen
from projections import PROJECTIONS, replay
from tests.conversations.place import World, definition
from tests.conversations.test_gates import Gated
from tests.governance.world import Outside, published

DOUBLE = """
name: double
inputs: {n: {type: integer}}
outputs: {twice: "${ inputs.n * 2 }"}
steps:
  done: {value: true}
"""


class Actors(Gated):
    """A room with another agent and a workflow."""

    def __init__(self, world: World, outside: Outside) -> None:
        super().__init__(world, outside)
        self.plan = planned(DOUBLE)
        asked = workflow_tool("double", self.plan.inputs, hash=self.plan.hash, version=1)
        self.tools = [agent_tool("ben", "Ben."), asked]

    async def prepare(self) -> None:
        """Ben and the workflow are published; ada may ask both."""
        await self.insist("workflow/double", PublishWorkflow(msgspec.Raw(encode_plan(self.plan))))
        for to, message in seen(self.tools):
            await self.insist(to, message, "host/1")
        await self.insist("policy/default", published(read_policy(DEFAULT)))
        ben = msgspec.structs.replace(definition(tool_specs=[]), name="ben")
        await self.insist("agent/ben", PublishAgent(msgspec.Raw(encode_definition(ben)), hash_of(ben)))
        specs = [ToolSpec(t.name, t.definition.description, t.definition.parameters) for t in self.tools]
        await self.publish(definition(tool_specs=specs, tool_roles={t.name: t.definition.roles for t in self.tools}))


def performed(script: Any, strike: tuple[int, bool] | None = None) -> tuple[Any, list[int]]:
    async def main() -> tuple[Any, list[int]]:
        async with Actors(World(), Outside()) as room:
            await room.prepare()
            room.arm(strike)
            result = await script(room)
            await room.settle()
            assert room.struck
            return result, list(room.boundaries)

    return run_virtual(main())


async def asks_ben(room: Actors) -> Any:
    await room.say('use agent.ben {"text": "how are you?"}', key="1")
    await room.quiet()
    replies = [msgspec.json.decode(e.data)["text"] for e in await room.events() if e.type == "TurnReplied"]
    return replies, [a.status for a in await room.only(ToolAnswered)]


async def doubles(room: Actors) -> Any:
    await room.say('use workflow.double {"n": 21}', key="1", sender="user:ada")
    await room.until("ToolWaits")
    waits = (await room.only(ToolWaits))[-1]
    await room.insist(waits.approval, Approve(), "user:boss")
    await room.quiet()
    started = [e.stream for e in await room.events() if e.type == "RunStarted"]
    return [a.status for a in await room.only(ToolAnswered)], (await room.only(TurnReplied))[-1].text, started


def test_an_agent_asks_another_one_and_says_what_it_answered() -> None:
    (replies, statuses), _ = performed(asks_ben)
    assert statuses == ["succeeded"]
    assert len(replies) == 2
    assert "you said" in replies[0]
    assert "how are you?" in replies[0]
    assert replies[0] in replies[1]


def test_what_an_agent_costs_as_a_tool_is_what_the_tool_costs() -> None:
    async def script(room: Actors) -> list[tuple[str, str]]:
        await asks_ben(room)
        rows = replay(next(p for p in PROJECTIONS if p.name == "costs"), await room.events())["costs"]
        return [(row["agent"], row["tool"]) for row in rows]

    found, _ = performed(script)
    assert sorted(found) == [("ada", ""), ("ada", ""), ("ben", "agent.ben")]


def test_an_agent_runs_a_workflow_once_people_agree() -> None:
    (statuses, text, started), _ = performed(doubles)
    assert statuses == ["succeeded"]
    assert '"twice":42' in text.replace(" ", "")
    assert started == ["run/c.1.1"]


@pytest.mark.parametrize("script", [asks_ben, doubles])
def test_a_host_may_be_lost_at_any_write_and_each_is_asked_once(script: Any) -> None:
    whole, boundaries = performed(script)
    for at in boundaries[:: max(1, len(boundaries) // 12)]:
        for before in (True, False):
            assert performed(script, (at, before))[0] == whole
