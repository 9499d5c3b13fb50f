"""An agent from its file to its answers, in memory: published, asked, hot reloaded, asked by a workflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.agents.agent import agent
from actors.agents.conversation.kind import conversation_kind
from actors.agents.inquiry import inquiry
from actors.agents.messages import DeclareVariable, MoveAgent, Post, SetVariable
from actors.agents.variables import variables
from actors.budget import budget
from actors.core.kind import Attempt, EffectKind, Plugin, merge
from actors.models.port import MODEL_CALL, ModelCall
from actors.tools.tool import Tool
from actors.workflows.definition import compile_workflow, read
from actors.workflows.messages import StartWorkflow
from actors.workflows.plan import encode_plan
from actors.workflows.plugin import workflow_plugin
from actors.workflows.tasks import Catalogue
from actors.workflows.workflow import PublishWorkflow
from events.errors import Refused
from events.models import Cost, ModelAnswer, ModelResult, Price, Usage
from gateway.agents import Agents, agent_files, policy_files, publication, spec_of
from gateway.workflow_tools import workflow_tools
from infra.cel import Cel
from infra.memory.system import System, run_system
from infra.tasks.builtin import BUILTIN, Asking, built_in
from projections import PROJECTIONS, Query
from tests.agents.broken_agents import agent as file_of

EXAMPLE = Path("gateway/templates/librarian")


def known_agents() -> Agents:
    def run(_input: Any, _call: Any) -> str:
        return "x"

    tools = [
        Tool(f"files.{verb}", run, parameters={"type": "object"}, risk="read-local", description=verb)
        for verb in ("read", "search", "write")
    ]
    return Agents(tools, ["scripted"])


class Models:
    """Answers with what it was asked, at a price."""

    def __init__(self, cost: str | None = "0.25") -> None:
        self.cost = cost
        self.requests: list[ModelCall] = []

    async def perform(self, call: ModelCall, _attempt: Attempt) -> ModelResult:
        self.requests.append(call)
        text = call.request.messages[-1].text
        said = '{"weeks": 4}' if "JSON Schema" in text else f"You said: {text}"
        price = Price("list", "1", "2026-11-29", "scripted", "files", {"input": "1"})
        answer = ModelAnswer(said, usage=Usage(10, 5, raw={"t": 15}), provider="scripted", model="files")
        return ModelResult(call.models[0], answer, cost=Cost(self.cost, price, "" if self.cost else "no row"))


def plugin(models: Models, agents: Agents, asking: Asking) -> Plugin:
    effects = [
        EffectKind(MODEL_CALL, request=ModelCall, perform=models.perform, effect_class="pure", result=ModelResult),
        *agents.effects,
    ]
    own = Plugin(
        kinds=[agent, conversation_kind(), variables, budget, inquiry], effects=effects, tasks=built_in(asking),
        projections=PROJECTIONS,
    )  # fmt: skip
    return merge([workflow_plugin(Cel()), own])


def run(script: Any, models: Models | None = None, agents: Agents | None = None) -> None:
    asking = Asking()

    async def main(system: System) -> None:
        class Client:
            async def ask(self, message: Any) -> Any:
                return await system.deliver(message)

            async def query(self, tenant: str, address: str, question: str, body: bytes) -> bytes:
                return await system.hosts[0].query(tenant, address, question, body)

        asking.client, asking.now = Client(), system.clock
        await script(system)

    run_system(plugin(models or Models(), agents or known_agents(), asking), main)


async def rows(system: System, name: str) -> list[dict[str, Any]]:
    await system.projector.wait(name, await system.store.head(), 60.0)
    return (await system.models.query(name, Query("default", name, limit=100))).rows


async def published(system: System, text: str, agents: Agents | None = None) -> dict[str, Any]:
    found = (agents or known_agents()).compile(text, "ada.agent.md")
    said = await system.ask(f"agent/{found.definition.name}", publication(found, text, "user:ada"))
    await system.settle()
    return said


def test_the_librarian_is_published_from_its_workspace_and_answers() -> None:
    async def script(system: System) -> None:
        agents = known_agents()
        files = agent_files(EXAMPLE)
        await agents.publish(files, "default", system.deliver)
        await agents.publish(files, "default", system.deliver)
        await system.settle()
        assert agents.broken == []
        await system.ask("conversation/c", Post("m1", "How long may a book be borrowed?", agent="librarian"))
        await system.settle()
        (row,) = await rows(system, "agents")
        assert (row["state"], row["version"], row["turns"], row["scripted"]) == ("ready", 1, 1, True)
        (talk,) = await rows(system, "conversations")
        assert (talk["status"], talk["usd"], talk["agent"]) == ("idle", "0.25", "librarian")
        budgets = {b["budget"]: (b["usd"], b["spent"], b["reserved"]) for b in await rows(system, "budgets")}
        assert budgets["agent.librarian"] == ("5", "0.25", "0")
        assert [(c["usd"], c["agent"]) for c in await rows(system, "costs")] == [("0.25", "librarian")]

    run(script)


def test_a_file_that_is_wrong_is_kept_with_all_that_is_wrong_and_the_others_are_published(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "ada.agent.md").write_text(file_of("tools: files.*"))
    (tmp_path / "agents" / "ben.md").write_text(file_of("tolos: x\ntemperature: hot").replace("ada", "ben"))
    (tmp_path / "agents" / "README.md").write_text("no agent")
    (tmp_path / "x.policy.yaml").write_text("name: default\n")

    async def script(system: System) -> None:
        agents = known_agents()
        await agents.publish(agent_files(tmp_path), "default", system.deliver)
        (broken,) = agents.broken
        assert broken.file.endswith("ben.md")
        assert [p["line"] for p in broken.problems] == [4, 5]
        await system.settle()
        assert [r["agent"] for r in await rows(system, "agents")] == ["ada"]

    run(script)
    assert [path.name for path in policy_files(tmp_path)] == ["x.policy.yaml"]


def test_a_tool_that_is_gone_when_it_starts_fails_it_with_an_item_and_it_comes_back() -> None:
    async def script(system: System) -> None:
        await published(system, file_of("tools: files.*"))
        (item,) = await rows(system, "inbox")
        assert (item["kind"], item["open"]) == ("agent", True)
        assert "no tool 'files.read' here" in item["detail"]
        with pytest.raises(Refused):
            await system.ask("agent/ada", MoveAgent("drain"))
        agents.learn(known_agents().tools.values())
        await system.ask("agent/ada", MoveAgent("start"))
        await system.settle()
        assert [i["open"] for i in await rows(system, "inbox")] == [False]

    agents = Agents([], ["scripted"])
    run(script, agents=agents)


def test_hot_reload_changes_the_next_turn_and_not_the_one_before() -> None:
    async def script(system: System) -> None:
        await published(system, file_of("x-a: 1"))
        await system.ask("conversation/c", Post("m1", "one", agent="ada"))
        await system.settle()
        await published(system, file_of("x-a: 1", "Be rude.\n"))
        await system.ask("conversation/c", Post("m2", "two"))
        await system.settle()
        assert [t.instructions for t in seen()] == ["Be kind.\n", "Be rude.\n"]
        assert (await rows(system, "agents"))[0]["current"] == 2

    models = Models()

    def seen() -> list[Any]:
        return [
            msgspec.structs.replace(known_agents().compile(file_of("x-a: 1"), "x").definition, instructions=text)
            for text in (_system(call) for call in models.requests)
        ]

    run(script, models)


def _system(call: ModelCall) -> str:
    text = next(m.text for m in call.request.messages if m.role == "system")
    return "Be rude.\n" if "Be rude." in text else "Be kind.\n"


def test_a_cost_that_nobody_knows_is_an_item_and_is_no_zero() -> None:
    async def script(system: System) -> None:
        await published(system, file_of("x-a: 1"))
        await system.ask("conversation/c", Post("m1", "one", agent="ada"))
        await system.settle()
        (row,) = await rows(system, "costs")
        assert row["usd"] is None
        assert [(i["kind"], i["subject"]) for i in await rows(system, "inbox")] == [("unknown-price", "scripted:files")]

    run(script, Models(cost=None))


def test_variables_of_a_tenant_reach_the_prompt() -> None:
    async def script(system: System) -> None:
        front = "variables: {tone: {type: string, default: plain}}"
        await published(system, file_of(front, "Be {{ tone }}.\n"))
        await system.ask("variables/tenant.default", DeclareVariable("tone", {"type": "string"}))
        await system.ask("variables/tenant.default", SetVariable("tone", "warm"))
        await system.ask("conversation/c", Post("m1", "one", agent="ada"))
        await system.settle()
        assert any("Be warm." in m.text for m in models.requests[0].request.messages)

    models = Models()
    run(script, models)


WORKFLOW = """\
name: asking
inputs: {question: string}
outputs: {weeks: "${ steps.ask.output.data.weeks }", text: "${ steps.plain.output.text }"}
steps:
  ask:
    task: agent.ask
    with:
      agent: ada
      message: "${ inputs.question }"
      output: {type: object, properties: {weeks: {type: integer}}, required: [weeks]}
  plain: {task: agent.ask, with: {agent: ada, message: hello, conversation: shared}}
"""


def test_a_workflow_asks_an_agent_once_per_step_and_pays_for_it() -> None:
    async def script(system: System) -> None:
        await published(system, file_of("x-a: 1"))
        plan = compile_workflow(read(WORKFLOW), Cel(), Catalogue(BUILTIN)).plan
        await system.ask("workflow/asking", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        await system.ask("workflow/asking", StartWorkflow("r", {"question": "how long?"}))
        await system.advance(5)
        state = await system.state("run/r")
        assert (state["status"], state["outputs"]) == ("succeeded", {"weeks": 4, "text": "You said: hello"})
        (run_row,) = await rows(system, "runs")
        assert (run_row["usage"]["usd"], run_row["usage"]["input_tokens"]) == ("0.50", "20")
        assert len(models.requests) == 2
        assert "shared" in [r["conversation"] for r in await rows(system, "conversations")]

    models = Models()
    run(script, models)


def test_a_step_that_asks_an_agent_that_is_not_there_fails_with_the_reason() -> None:
    async def script(system: System) -> None:
        plan = compile_workflow(read(WORKFLOW), Cel(), Catalogue(BUILTIN)).plan
        await system.ask("workflow/asking", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        await system.ask("workflow/asking", StartWorkflow("r", {"question": "how long?"}))
        await system.advance(30)
        state = await system.state("run/r")
        assert state["status"] == "failed"
        assert "there is no agent/ada" in str(state)

    run(script)


def test_a_published_workflow_is_a_tool_with_its_inputs() -> None:
    async def script(system: System) -> None:
        plan = compile_workflow(read(WORKFLOW), Cel(), Catalogue(BUILTIN)).plan
        await system.ask("workflow/asking", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        host = system.hosts[0]
        (tool,) = await workflow_tools(["asking", "missing"], host.query, "default", risks={"asking": "read-local"})
        assert (tool.name, tool.definition.via, tool.definition.risk) == ("workflow.asking", "workflow", "read-local")
        assert tool.definition.annotations == {"workflow": "asking", "version": 1}
        assert spec_of(tool).parameters["required"] == ["question"]

    run(script)
