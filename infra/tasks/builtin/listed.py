"""The list of them."""

from __future__ import annotations

from typing import Final

from actors.workflows.tasks import Task
from infra.tasks.builtin.agent import AGENT_ASK, Asking, agent_task
from infra.tasks.builtin.http import http_call

BUILTIN: Final = (http_call, AGENT_ASK)
"""As definitions are checked with."""


def built_in(asking: Asking) -> list[Task]:
    """The same, to be performed: agents are asked through `asking`."""
    return [http_call, agent_task(asking)]
