"""Workflows as tools of agents: what a published workflow takes is what the tool takes; a call of it is a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from actors.tools.tool import Tool, ToolError
from actors.workflows.plan import decode_plan
from events.errors import Refused

PREFIX: Final = "workflow."
"""Names of these tools are `workflow.NAME`."""

RISK: Final = "write-external"
"""A workflow may do anything its tasks do, unless whoever makes the tool says that it does less."""

Query = Callable[[str, str, str, bytes], Awaitable[bytes]]
"""(tenant, address, question, body) to JSON: `Client.query`."""


def workflow_tool(
    name: str,
    inputs: Mapping[str, Any],
    *,
    hash: str,
    version: int,
    description: str = "",
    risk: str = RISK,
    timeout: float = 3600.0,
) -> Tool:
    """The tool of a workflow. `hash` is that of its plan: another plan is another definition, to be approved again.

    Its call starts the run `call id` of this version and ends with its outputs, so a repeated call is one run.
    """

    def run(_input: Any, _call: Any) -> Any:
        """Start a workflow and wait for its outputs."""
        raise ToolError("a workflow is run by its actor", code="via")

    said = description or f"Run the workflow {name} and return its outputs."
    return Tool(
        f"{PREFIX}{name}", run, description=said, parameters=dict(inputs), risk=risk, effect_class="keyed",
        via="workflow", annotations={"workflow": name, "version": version}, timeout=timeout, code=hash,
    )  # fmt: skip


async def workflow_tools(
    names: Iterable[str], query: Query, tenant: str, *, risks: Mapping[str, str] | None = None
) -> list[Tool]:
    """The tools of published workflows, of their newest versions; those that are not published are left out.

    `risks` says by name what a workflow risks, where that is less than `write-external`.
    """
    found: list[Tool] = []
    for name in names:
        try:
            said = msgspec.json.decode(await query(tenant, f"workflow/{name}", "DescribeWorkflow", b"{}"))
        except Refused:
            continue
        plan = decode_plan(msgspec.json.encode(said["plan"]))
        risk = (risks or {}).get(name, RISK)
        found.append(workflow_tool(name, plan.inputs, hash=plan.hash, version=said["version"], risk=risk))
    return found
