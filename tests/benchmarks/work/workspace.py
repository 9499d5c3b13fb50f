"""A task that does nothing, for workers to do."""

from __future__ import annotations

from typing import Any

from actors import Plugin
from actors.workflows.tasks import Task


async def nothing(_input: Any) -> dict[str, int]:
    """Nothing."""
    return {"n": 1}


NOTHING = Task("nothing", nothing)
plugin = Plugin(tasks=[NOTHING])
