"""Context variables of runs and steps: from the definition of a workflow to the prompt of the agent a step asks."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from actors.agents.messages import DeclareVariable, ReadVariables, SetVariable
from actors.agents.prompt.explain import explain
from actors.agents.variables import PRECEDENCE
from actors.workflows.definition import DefinitionInvalid, compile_workflow, read
from actors.workflows.messages import StartWorkflow
from actors.workflows.plan import encode_plan
from actors.workflows.tasks import Catalogue
from actors.workflows.workflow import PublishWorkflow
from events.errors import Refused
from infra.cel import Cel
from infra.memory.system import System
from infra.tasks.builtin import BUILTIN
from tests.agents.broken_agents import agent as file_of
from tests.agents.test_together import Models, published, run

TONE = "variables: {tone: {type: string, default: plain}}"


def plan_of(text: str) -> Any:
    return compile_workflow(read(text), Cel(), Catalogue(BUILTIN)).plan


async def started(system: System, text: str, run: str = "r", **variables: Any) -> dict[str, Any]:
    """A run of this definition, at its end."""
    plan = plan_of(text)
    to = f"workflow/{plan.name}"
    await system.ask(to, PublishWorkflow(msgspec.Raw(encode_plan(plan))))
    await system.ask(to, StartWorkflow(run, {}, variables=variables))
    await system.advance(60)
    return await system.state(f"run/{run}")


def tones(models: Models) -> list[str]:
    """What the instructions of each prompt say the tone is."""
    return [found[1] for call in models.requests if (found := re.search(r"Be (\w+)\.", call.request.messages[0].text))]


def asking(run_variable: str = "", step_variable: str = "", front: str = "") -> str:
    declared = f"variables: {{tone: {{type: string, default: {run_variable}}}}}\n" if run_variable else ""
    given = f", variables: {{tone: {step_variable}}}" if step_variable else ""
    return (
        f"name: telling\n{front}{declared}steps:\n"
        f"  one: {{task: agent.ask, with: {{agent: ada, message: hello, conversation: c{given}}}}}\n"
    )


@pytest.mark.parametrize("nearest", PRECEDENCE)
def test_of_all_scopes_the_nearest_one_counts_in_the_prompt_of_a_step(nearest: str) -> None:
    """Every scope from this one outwards has a value: this one's is shown."""
    scopes = PRECEDENCE[PRECEDENCE.index(nearest) :]
    holders = {
        "platform": "variables/platform.platform", "tenant": "variables/tenant.default",
        "channel": "variables/channel.actor", "agent": "variables/agent.ada", "conversation": "conversation/c",
    }  # fmt: skip

    async def script(system: System) -> None:
        await published(system, file_of(TONE, "Be {{ tone }}.\n"))
        await started(system, asking().replace("telling", "before"))  # the conversation begins
        for scope in scopes:
            if scope in holders:
                await system.ask(holders[scope], DeclareVariable("tone", {"type": "string"}))
                await system.ask(holders[scope], SetVariable("tone", scope))
        plan = plan_of(asking("run" if "run" in scopes else "", "step" if "step" in scopes else ""))
        await system.ask("workflow/telling", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        await system.ask("workflow/telling", StartWorkflow("s"))
        await system.advance(60)
        assert (await system.state("run/s"))["status"] == "succeeded"
        assert tones(models) == ["plain", nearest]

    models = Models()
    run(script, models)


def test_a_run_begins_with_what_is_given_at_its_start_and_explain_names_where_it_came_from() -> None:
    async def script(system: System) -> None:
        await published(system, file_of(TONE, "Be {{ tone }}.\n"))
        state = await started(system, asking("plainly"), tone="warm")
        assert (state["status"], state["variables"]["values"]) == ("succeeded", {"tone": "warm"})
        assert tones(models) == ["warm"]
        events = [e for e in await system.events() if e.stream == "conversation/c"]
        (shown,) = explain(events, 1)
        assert (shown.variables, shown.same) == ({"tone": "warm"}, True)
        section = next(s.section for s in shown.sections if s.section.name == "variables")
        assert "VariablesRead:1.run" in section.events
        assert "VariablesRead:1.run" in shown.positions
        assert section.label == "untrusted/private"

    models = Models()
    run(script, models)


def test_what_steps_set_at_once_is_merged_by_the_declared_rule() -> None:
    text = """\
name: telling
variables:
  found: {type: array, merge: union, default: []}
  most: {type: integer, merge: max}
steps:
  gather:
    map: {over: [3, 1, 2, 3], as: n}
    task: variables.set
    with: {values: {found: ["${ n }"], most: "${ n }"}}
  tell: {needs: gather, task: agent.ask, with: {agent: ada, message: hello}}
"""

    async def script(system: System) -> None:
        await published(
            system,
            file_of("variables: {found: {type: array, default: []}, run.most: integer}", "Known: {{ found }}.\n"),
        )
        state = await started(system, text)
        assert (state["status"], state["variables"]["values"]) == ("succeeded", {"found": [1, 2, 3], "most": 3})
        assert "- run.most: 3" in models.requests[0].request.messages[0].text

    models = Models()
    run(script, models)


def test_the_items_of_a_large_map_have_the_variables_of_the_run_around_them() -> None:
    text = """\
name: telling
variables: {tone: {type: string, default: warm}, sum: {type: integer, merge: sum}}
steps:
  each:
    map: {over: "${ inputs.items }", as: n}
    steps:
      count: {task: variables.set, with: {values: {sum: 1}}}
      tell: {when: "${ n < 1 }", task: agent.ask, with: {agent: ada, message: hello}}
inputs: {items: {type: array, default: []}}
"""

    async def script(system: System) -> None:
        await published(system, file_of(TONE, "Be {{ tone }}.\n"))
        plan = plan_of(text)
        await system.ask("workflow/telling", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        await system.ask("workflow/telling", StartWorkflow("r", {"items": list(range(1001))}))
        await system.advance(120)
        state = await system.state("run/r")
        assert (state["status"], state["variables"]["values"]["sum"]) == ("succeeded", 1001)
        assert tones(models) == ["warm"]
        part = next(e.stream for e in await system.events() if e.type == "RunStarted" and e.stream != "run/r")
        with pytest.raises(Refused, match="run/r"):
            await system.ask(part, SetVariable("tone", "cold"))

    models = Models()
    run(script, models)


def test_what_does_not_fit_is_refused_where_it_is_said() -> None:
    async def script(system: System) -> None:
        await published(system, file_of(TONE, "Be {{ tone }}.\n"))
        with pytest.raises(Refused, match=r"variables\.tone: .*not of type 'string'"):
            await started(system, asking("plain"), tone=3)
        with pytest.raises(Refused, match="declares no such variable; it declares tone"):
            await started(system, asking("plain"), tune="warm")
        state = await started(system, asking("", "3"))
        assert "tone: value: 3 is not of type 'string'" in str(state["error"])
        await system.ask("workflow/telling", StartWorkflow("s"))
        with pytest.raises(Refused, match="the run is failed"):
            await system.ask("run/r", SetVariable("tone", "warm"))
        with pytest.raises(Refused, match="no such run"):
            await system.ask("run/nobody", ReadVariables())
        assert models.requests == []

    models = Models()
    run(script, models)


def test_a_variable_of_a_step_that_the_agent_does_not_use_fails_its_turn() -> None:
    async def script(system: System) -> None:
        await published(system, file_of("variables: {tone: string}"))
        text = asking("", "warm").replace("tone:", "tune:")
        state = await started(system, text)
        assert "ada uses no variable 'tune'; it uses tone" in str(state["error"])

    run(script)


def test_a_secret_of_a_run_is_a_reference_and_no_model_is_shown_it() -> None:
    text = """\
name: telling
variables: {password: {type: string, secret: true}}
steps:
  one: {task: agent.ask, with: {agent: ada, message: hello, variables: {key: "vault:mail/key"}}}
"""

    async def script(system: System) -> None:
        front = "variables: {password: {type: string, secret: true}, key: {type: string, secret: true}}"
        await published(system, file_of(front))
        with pytest.raises(Refused, match="by reference"):
            await started(system, text, password="hunter2")
        state = await started(system, text, password="vault:mail/password")
        assert state["status"] == "succeeded"
        (call,) = models.requests
        assert "vault:" not in str(call.request)
        wrong = text.replace("vault:mail/key", "hunter2")
        state = await started(system, wrong, "s", password="vault:mail/password")
        assert "key: a secret is set by reference" in str(state["error"])
        assert len(models.requests) == 1

    models = Models()
    run(script, models)


def test_a_definition_says_what_is_wrong_with_its_variables() -> None:
    with pytest.raises(DefinitionInvalid) as found:
        plan_of(
            "name: x\nsteps: {one: {value: 1}}\n"
            "variables: {a: strng, b: {type: string, default: 3}, c: {type: string, secret: true, default: x}}\n"
        )
    said = [(p.pointer, p.message) for p in found.value.problems]
    assert [pointer for pointer, _ in said] == ["/variables/a", "/variables/b/default", "/variables/c/default"]
