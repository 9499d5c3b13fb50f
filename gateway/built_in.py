"""What comes with the system, whatever a workspace brings: the kinds of workflows and agents."""

from __future__ import annotations

from actors.agents.plugin import agent_plugin
from actors.core.kind import Plugin, merge
from actors.workflows.plugin import workflow_plugin
from infra.cel import Cel


def built_in() -> Plugin:
    """The kinds, with the expression language put in."""
    return merge([workflow_plugin(Cel()), agent_plugin()])
