"""Tasks that every host and worker has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.tasks.builtin.agent import AGENT_ASK, Asking, agent_task
from infra.tasks.builtin.http import http_call

if TYPE_CHECKING:
    from actors.workflows.tasks import Task

BUILTIN: Final = (http_call, AGENT_ASK)
"""As definitions are checked with."""


def built_in(asking: Asking) -> list[Task]:
    """The same, to be performed: agents are asked through `asking`."""
    return [http_call, agent_task(asking)]


__all__ = ["AGENT_ASK", "BUILTIN", "Asking", "agent_task", "built_in", "http_call"]
