"""What an agent costs that steps of a run ask is caused by whatever started the run: in sums and in budgets alike."""

from __future__ import annotations

import msgspec

from actors.approval import Approve
from actors.workflows.messages import StartWorkflow
from actors.workflows.plan import encode_plan
from actors.workflows.workflow import PublishWorkflow
from infra.memory.system import System
from projections.costs import summed
from tests.agents.broken_agents import agent as file_of
from tests.agents.test_together import published, rows, run
from tests.agents.test_variables_of_runs import plan_of

CHILD = "name: child\nsteps:\n  tell: {task: agent.ask, with: {agent: ada, message: from the child}}\n"

AROUND = """\
name: around
steps:
  first: {task: agent.ask, with: {agent: ada, message: first}}
  agreed: {needs: first, approve: "go on?"}
  second: {needs: agreed, task: agent.ask, with: {agent: ada, message: second}}
  inner: {needs: agreed, workflow: child}
  many:
    needs: agreed
    map: {over: [1, 2], as: n}
    steps:
      each: {task: agent.ask, with: {agent: ada, message: each}}
"""


def test_all_that_a_run_costs_is_caused_by_the_message_that_started_it() -> None:
    async def script(system: System) -> None:
        await published(system, file_of("budgets: {cause: 1.1}"))
        for plan in (plan_of(CHILD), plan_of(AROUND)):
            await system.ask(f"workflow/{plan.name}", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        await system.ask("workflow/around", StartWorkflow("r"), sender="user:ada")
        await system.advance(60)
        approval = next(e.stream for e in await system.events() if e.type == "ApprovalRequested")
        await system.ask(approval, Approve(), sender="user:boss")  # a message of its own: it started none of it
        await system.advance(120)
        started = next(e for e in await system.events() if e.type == "RunStarted" and e.stream == "run/r")
        (group,) = summed(await rows(system, "costs"), ["cause"])
        assert (group["cause"], group["calls"], group["usd"]) == (started.correlation, 5, "1.25")
        (budget,) = await rows(system, "budgets")
        assert (budget["budget"], budget["spent"]) == (f"cause.{started.correlation}", "1.25")
        await system.ask("workflow/child", StartWorkflow("other"), sender="user:ada")
        await system.advance(60)
        assert len(summed(await rows(system, "costs"), ["cause"])) == 2  # another start is another cause

    run(script)
