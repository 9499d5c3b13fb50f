"""The routes of tools, calls of them, policies, costs and budgets: part of the list in `routes.py`."""

from __future__ import annotations

from typing import Final

from gateway.http import costs, models_agents, models_tools, tools
from gateway.http.models_workflows import PageQuery
from gateway.http.route import JSON, Route

_KEYED: Final = (
    ("Idempotency-Key", "the same key again gets the first answer; with another body it is a conflict"),
    ("traceparent", "W3C trace context, carried into the events"),
    ("X-Correlation-ID", "what started it all; else the message itself"),
)
_TOOL: Final = "/v1/tools/{name}"
_POLICY: Final = "/v1/policies/{name}"

TOOL_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/v1/tools",
        handler=tools.list_tools,
        summary="Tools of agents",
        scope="tools:read",
        query=models_tools.ToolsQuery,
        answer=models_tools.ToolsOut,
    ),
    Route(
        method="GET",
        path=_TOOL,
        handler=tools.show,
        summary="A tool: its definition, and whether it may be used",
        scope="tools:read",
        answer=models_tools.ToolOut,
    ),
    Route(
        method="POST",
        path=_TOOL + "/approve",
        handler=tools.approve,
        summary="Agree to a tool's definition, in the name of the token",
        scope="approvals:write",
        body=models_tools.ApproveToolIn,
        consumes=(JSON,),
        answer=models_tools.ToolMovedOut,
        headers=_KEYED,
    ),
    Route(
        method="POST",
        path=_TOOL + "/disable",
        handler=tools.disable,
        summary="Let no call of a tool in",
        scope="approvals:write",
        body=models_tools.DisableToolIn,
        consumes=(JSON,),
        answer=models_tools.ToolMovedOut,
        headers=_KEYED,
    ),
    Route(
        method="POST",
        path=_TOOL + "/run",
        handler=tools.run,
        summary="Have a tool called through every gate; 200 with its end, else 202 and where it stands",
        scope="tools:write",
        body=models_tools.RunToolIn,
        consumes=(JSON,),
        answer=models_tools.CallOut,
        headers=_KEYED,
    ),
    Route(
        method="GET",
        path="/v1/calls/{id}",
        handler=tools.show_call,
        summary="A call of a tool, and the gates it passed",
        scope="tools:read",
        answer=models_tools.CallOut,
    ),
    Route(
        method="GET",
        path="/v1/policies",
        handler=tools.list_policies,
        summary="Rules about tools",
        scope="tools:read",
        query=PageQuery,
        answer=models_tools.PoliciesOut,
    ),
    Route(
        method="GET",
        path=_POLICY,
        handler=tools.show_policy,
        summary="A version of the rules about tools",
        scope="tools:read",
        query=models_tools.PolicyQuery,
        answer=models_tools.PolicyOut,
    ),
    Route(
        method="POST",
        path=_POLICY,
        handler=tools.publish_policy,
        summary="Publish rules about tools: the body is their text",
        scope="admin",
        query=models_tools.PublishPolicyQuery,
        body=models_tools.PolicySourceIn,
        consumes=("application/yaml", JSON),
        answer=models_tools.PublishedPolicyOut,
        headers=_KEYED,
    ),
    Route(
        method="GET",
        path="/v1/costs",
        handler=costs.show,
        summary="What model calls cost, summed exactly; unknown costs are counted apart",
        scope="agents:read",
        query=models_agents.CostsQuery,
        answer=models_agents.CostsOut,
    ),
    Route(
        method="GET",
        path="/v1/budgets",
        handler=costs.budgets,
        summary="Budgets, what of them is spent and set aside",
        scope="agents:read",
        query=models_agents.BudgetsQuery,
        answer=models_agents.BudgetsOut,
    ),
    Route(
        method="POST",
        path="/v1/budgets/{scope}",
        handler=costs.set_budget,
        summary="Set a budget: SCOPE.ID, as tenant.default or agent.ada",
        scope="admin",
        body=models_agents.SetBudgetIn,
        consumes=(JSON,),
        answer=models_agents.BudgetSetOut,
        headers=_KEYED,
    ),
)
