"""A workspace with tasks to try workflows on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from actors import Plugin
from actors.workflows.tasks import Task, TaskError


class Number(msgspec.Struct, frozen=True):
    n: int


class Marked(msgspec.Struct, frozen=True):
    mark: str


def _double(value: Number) -> dict[str, Any]:
    return {"n": value.n * 2}


def _when_marked(value: Marked) -> dict[str, Any]:
    """Fails until the file is there."""
    if not Path(value.mark).exists():
        raise TaskError(f"{value.mark} is not there", kind="missing")
    return {"found": True}


tasks = [
    Task("math.double", _double, input=Number, effect_class="pure"),
    Task("file.marked", _when_marked, input=Marked),
]
plugin = Plugin(tasks=tasks)
