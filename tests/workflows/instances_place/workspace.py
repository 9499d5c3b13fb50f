"""A task that takes its time, as recorded."""

from __future__ import annotations

import asyncio
from typing import Any

from actors import Plugin
from actors.workflows.tasks import Task


async def work(value: dict[str, Any]) -> str:
    """Take that many seconds."""
    await asyncio.sleep(value["seconds"])
    return value["task"]


plugin = Plugin(tasks=[Task("work", work, effect_class="pure", timeout=600.0)])
