"""Everybody whose words are in a turn asks for what comes of it, however many actors are in between: nobody of them
agrees to it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.agents.inquiry import Inquire
from actors.agents.messages import OpenConversation, Post
from actors.agents.plugin import agent_plugin
from actors.approval import Approve
from actors.core.kind import merge
from actors.testing.clock import run_virtual
from actors.tools.policy_file import read_policy
from actors.workflows.messages import StartWorkflow
from actors.workflows.plan import encode_plan
from actors.workflows.plugin import workflow_plugin
from actors.workflows.workflow import PublishWorkflow
from events.approvals import ApprovalRequested
from events.conversations import ToolAnswered, TurnStarted
from events.errors import Refused
from events.models import ModelAnswer, ModelRequest, ToolSpec
from gateway.agent_tools import agent_tool
from gateway.workflow_tools import workflow_tool
from infra.cel import Cel
from infra.memory.system import System
from infra.memory.workflows import planned
from infra.tools.effects import seen, tool_effects
from tests.agents.broken_agents import agent as file_of
from tests.agents.test_together import Models, published, run
from tests.agents.test_variables_of_runs import plan_of
from tests.conversations.place import AGENT_START, Room, World, definition, says
from tests.conversations.test_gates import GUARD_CHECK, MODEL_CALL
from tests.governance.world import Outside, toys
from tests.governance.world import published as policy_of

POLICY = """
name: default
grants: ["*"]
rules:
  - {id: mail, decision: ask, when: {tools: mail.send}}
  - {id: others, decision: allow, when: {tools: [agent.ben, workflow.review]}}
"""

REVIEW = """
name: review
steps:
  agreed: {approve: "all of it"}
"""

MAIL = '{"to":"eve@example.org","text":"hi"}'


def passes_on(request: ModelRequest) -> ModelAnswer:
    """Uses the first tool that there is, and ends with its result."""
    if request.messages[-1].role == "tool":
        return says(request.messages[-1].text)
    if not request.tools or "wait" in request.messages[-1].text:
        return says("done")
    tool = request.tools[0].name
    return says("", (tool, {"agent.ben": '{"text":"send it"}', "mail.send": MAIL}.get(tool, "{}")))


class Chained(Room):
    """Ada asks ben, or has a review run; ben sends mail."""

    def __init__(self, tool: str) -> None:
        world = World(passes_on)
        super().__init__(world)
        plan = planned(REVIEW)
        asked = [agent_tool("ben", "Ben."), workflow_tool("review", plan.inputs, hash=plan.hash, version=1)]
        toys_ = toys(Outside())
        self.plan, self.tools = plan, [*asked, *toys_]
        self.used = next(t for t in asked if t.name == tool)
        self.mail = next(t for t in toys_ if t.name == "mail.send")
        talking = [e for e in world.effects() if e.name in (MODEL_CALL, GUARD_CHECK, AGENT_START)]
        self.plugin = merge([agent_plugin([*talking, *tool_effects(toys_)]), workflow_plugin(Cel())])

    async def merged(self, policy: str = POLICY) -> str:
        """Ada and eve write during a turn, and are answered in one. The approval that is asked for."""
        await self.insist("workflow/review", PublishWorkflow(msgspec.Raw(encode_plan(self.plan))))
        for to, message in seen(self.tools):
            await self.insist(to, message, "host/1")
        await self.insist("policy/default", policy_of(read_policy(policy)))
        for name, tool in (("ben", self.mail), ("ada", self.used)):
            spec = ToolSpec(tool.name, tool.definition.description, tool.definition.parameters)
            made = definition(tool_specs=[spec], tool_roles={tool.name: tool.definition.roles})
            await self.publish(msgspec.structs.replace(made, name=name))
        await self.insist("conversation/c", OpenConversation("ada", policy="merge"))
        for n, (who, text) in enumerate([("boss", "wait"), ("ada", "send it"), ("eve", "please")]):
            await self.insist("conversation/c", Post(f"m{n}", text), f"user:{who}")
        return (await self.until("ApprovalRequested")).stream


@pytest.mark.parametrize("tool", ["agent.ben", "workflow.review"])
def test_nobody_whose_message_was_merged_into_the_turn_agrees_to_what_comes_of_it(tool: str) -> None:
    async def main() -> None:
        async with Chained(tool) as room:
            approval = await room.merged()
            for who in ("ada", "eve"):
                with pytest.raises(Refused) as refused:
                    await room.insist(approval, Approve(), f"user:{who}")
                assert refused.value.reason_code == "requester"
            await room.insist(approval, Approve(), "user:boss")  # whose turn was another one
            await room.quiet()
            assert [a.status for a in await room.only(ToolAnswered)] == ["succeeded"]
            asked = next(e for e in await room.events() if e.type == "ApprovalRequested")
            chain = msgspec.json.decode(asked.data, type=ApprovalRequested).requesters
            agents = ["agent/ada", "agent/ben"] if tool == "agent.ben" else ["agent/ada"]
            assert chain == ["user:ada", "user:eve", *agents]

    run_virtual(main())


@pytest.mark.parametrize(("tool", "began"), [("agent.ben", "MessageReceived"), ("workflow.review", "RunStarted")])
def test_what_an_approved_call_starts_has_the_cause_of_the_turn_and_not_of_the_approval(tool: str, began: str) -> None:
    async def main() -> None:
        async with Chained(tool) as room:
            approval = await room.merged(POLICY.replace("tools: mail.send", f"tools: {tool}"))
            await room.insist(approval, Approve(), "user:boss")
            await room.quiet()
            turn = (await room.only(TurnStarted))[-1]
            inside = [e for e in await room.events() if e.type == began and e.stream != "conversation/c"]
            assert [msgspec.json.decode(e.data)["cause"] for e in inside] == [turn.cause]
            assert inside[0].correlation != turn.cause  # which is why it is passed on

    run_virtual(main())


ASKS = "task: agent.ask, with: {agent: ada, message: hello}"


@pytest.mark.parametrize(
    "text",
    [
        f"name: asks\nsteps:\n  one: {{{ASKS}}}\n",
        'name: asks\nsteps:\n  one:\n    map: {over: "${ inputs.items }", as: n}\n    steps:\n'
        f'      tell: {{when: "${{ n < 1 }}", {ASKS}}}\ninputs: {{items: {{type: array, default: []}}}}\n',
    ],
    ids=["a step", "an item of a large map"],
)
@pytest.mark.parametrize("inside", [False, True], ids=["of the run", "of a run of a run"])
def test_an_agent_that_a_run_asks_knows_in_whose_name_the_run_goes(text: str, inside: bool) -> None:
    around = "name: around\ninputs: {items: {type: array, default: []}}\nsteps:\n"
    around += "  child: {workflow: asks, with: " + ('{items: "${ inputs.items }"}}\n' if "map" in text else "{}}\n")

    async def script(system: System) -> None:
        await published(system, file_of("", "Be kind.\n"))
        for plan in (plan_of(text), plan_of(around)):
            await system.ask(f"workflow/{plan.name}", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        items: dict[str, Any] = {"items": list(range(1001))} if "map" in text else {}
        start = StartWorkflow("r", items, by="user:ada", requesters=["user:ada", "user:eve", "agent/ben"])
        await system.ask(f"workflow/{'around' if inside else 'asks'}", start, sender="call/c.1.1")
        await system.advance(120)
        assert (await system.state("run/r"))["status"] == "succeeded"
        received = next(e for e in await system.events() if e.type == "MessageReceived")
        chain = msgspec.json.decode(received.data)["requesters"]
        assert chain[:3] == ["user:ada", "user:eve", "agent/ben"]
        assert [name.partition("/")[0] for name in chain[3:]] == ["run"]

    run(script, Models())


def test_whoever_starts_a_run_is_among_those_who_ask_the_agents_in_it() -> None:
    async def script(system: System) -> None:
        await published(system, file_of("", "Be kind.\n"))
        plan = plan_of(f"name: asks\nsteps:\n  one: {{{ASKS}}}\n")
        await system.ask("workflow/asks", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        await system.ask("workflow/asks", StartWorkflow("r"), sender="user:ada")
        await system.advance(60)
        received = next(e for e in await system.events() if e.type == "MessageReceived")
        assert msgspec.json.decode(received.data)["requesters"] == ["user:ada", "run/r"]

    run(script, Models())


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("conversation/c", Post("m", "hello", "ada", requesters=["user:boss"])),
        ("inquiry/i", Inquire("ada", "hello", requesters=["user:boss"])),
        ("workflow/asks", StartWorkflow("r", requesters=["user:boss"])),
    ],
    ids=["a message", "an inquiry", "a run"],
)
def test_nobody_outside_names_others_who_ask(to: str, message: Any) -> None:
    async def script(system: System) -> None:
        await published(system, file_of("", "Be kind.\n"))
        plan = plan_of(f"name: asks\nsteps:\n  one: {{{ASKS}}}\n")
        await system.ask("workflow/asks", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        with pytest.raises(Refused, match="user:boss") as refused:
            await system.ask(to, message, sender="user:mallory")
        assert refused.value.reason_code == "speaker"

    run(script, Models())


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("conversation/c", Post("m", "hello", "ada", cause="another")),
        ("workflow/asks", StartWorkflow("r", cause="another")),
    ],
    ids=["a message", "a run"],
)
def test_nobody_outside_names_another_cause_whose_budget_would_pay(to: str, message: Any) -> None:
    async def script(system: System) -> None:
        await published(system, file_of("", "Be kind.\n"))
        plan = plan_of(f"name: asks\nsteps:\n  one: {{{ASKS}}}\n")
        await system.ask("workflow/asks", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        with pytest.raises(Refused) as refused:
            await system.ask(to, message, sender="user:mallory")
        assert refused.value.reason_code in ("cause", "speaker")

    run(script, Models())
