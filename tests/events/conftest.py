from __future__ import annotations

import pytest

from actors.workflows.plugin import workflow_plugin
from events import Registry
from events.agents import AGENT_EVENTS, BUDGET_EVENTS, CONTEXT_EVENTS, INQUIRY_EVENTS
from events.conversations import CONVERSATION_EVENTS
from events.registry import Type
from events.system import SYSTEM_EVENTS
from events.tools import CALL_EVENTS, POLICY_EVENTS, TOOL_EVENTS
from events.whatif import WHATIF_EVENTS
from gateway.examples.ledger.workspace import plugin as ledger
from infra.cel import Cel


@pytest.fixture(scope="session")
def released() -> list[Type]:
    """Every event type that is in somebody's log: the kernel's own, those of workflows and of the built-in examples."""
    types = [*Registry(SYSTEM_EVENTS), *Registry((*AGENT_EVENTS, *CONTEXT_EVENTS, *BUDGET_EVENTS, *INQUIRY_EVENTS))]
    types += Registry((*CONVERSATION_EVENTS, *WHATIF_EVENTS))
    types += Registry((*TOOL_EVENTS, *CALL_EVENTS, *POLICY_EVENTS))
    for plugin in (workflow_plugin(Cel()), ledger):
        types += [*Registry(plugin.events), *(type for kind in plugin.kinds for type in kind.events)]
    return types
