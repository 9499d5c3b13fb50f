"""The list of them."""

from __future__ import annotations

from typing import Final

from actors.workflows.tasks import Task
from infra.tasks.builtin.agent import AGENT_ASK, agent_task
from infra.tasks.builtin.asking import Asking
from infra.tasks.builtin.http import http_call
from infra.tasks.builtin.variables import variables_task

BUILTIN: Final = (http_call, AGENT_ASK, variables_task(Asking()))
"""As definitions are checked with."""


def built_in(asking: Asking) -> list[Task]:
    """The same, to be performed: actors are asked through `asking`."""
    return [http_call, agent_task(asking), variables_task(asking)]
