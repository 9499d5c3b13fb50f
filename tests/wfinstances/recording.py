"""Recorded executions of scientific workflows (WfFormat 1.5, https://wfcommons.org) as a schedule in time order.

The recordings hold runtimes and dependencies, but no start times. A task is taken to begin when the last of those it
depends on has ended, so a schedule is as long as the longest path through the recording. Times are whole microseconds.
Standard library only: the publisher process uses it, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

BASE = "2026-01-01T00:00:00"


@dataclass(frozen=True)
class Task:
    """`release` is the one of its parents that ended last, or None for a task that waits for nobody."""

    id: str
    machine: str
    parents: tuple[str, ...]
    runtime: int
    start: int
    depth: int
    release: str | None

    @property
    def end(self) -> int:
        return self.start + self.runtime


@dataclass(frozen=True)
class Recording:
    """`makespan` is the recorded one: from submission to the end, waiting for machines included."""

    name: str
    makespan: int
    tasks: dict[str, Task]

    @property
    def source(self) -> str:
        return f"urn:wfinstances:{self.name}"

    @cached_property
    def length(self) -> int:
        """How long the schedule takes."""
        return max(task.end for task in self.tasks.values())

    @cached_property
    def events(self) -> list[tuple[tuple[int, int, str], dict[str, Any]]]:
        """(order, CloudEvent attributes and data). Whatever causes another comes before it, at the same time too."""
        submitted = {"workflow": self.name, "tasks": len(self.tasks)}
        found = [((0, -1, self.name), self._event("WorkflowSubmitted", "submitted", None, submitted))]
        for task in self.tasks.values():
            about = {"workflow": self.name, "task": task.id, "machine": task.machine}
            cause = f"{task.release} ended" if task.release else "submitted"
            started = self._event("TaskStarted", f"{task.id} started", cause, about | {"at": task.start})
            started["data"]["parents"] = task.parents
            ended = about | {"runtime": task.runtime, "at": task.end}
            ended = self._event("TaskEnded", f"{task.id} ended", f"{task.id} started", ended)
            found.append(((task.start, 2 * task.depth, task.id), started))
            found.append(((task.end, 2 * task.depth + 1, task.id), ended))
        return found

    def _event(self, type_: str, id_: str, cause: str | None, data: dict[str, Any]) -> dict[str, Any]:
        event = {"type": type_, "source": self.source, "id": id_.replace(" ", ":"), "data": data}
        # An event of the log is known by its source and its id.
        return event if cause is None else event | {"causationid": f"{self.source} {cause.replace(' ', ':')}"}


def read(path: Path) -> Recording:
    workflow = json.loads(path.read_text())["workflow"]
    parents = {task["id"]: tuple(task["parents"]) for task in workflow["specification"]["tasks"]}
    executed = {task["id"]: task for task in workflow["execution"]["tasks"]}
    tasks: dict[str, Task] = {}
    for id_ in TopologicalSorter(parents).static_order():
        before = [tasks[parent] for parent in parents[id_]]
        last = max(before, key=lambda task: (task.end, task.id), default=None)
        tasks[id_] = Task(
            id=id_,
            machine=(executed[id_].get("machines") or ["unknown"])[0],
            parents=parents[id_],
            runtime=round(executed[id_]["runtimeInSeconds"] * 1_000_000),
            start=last.end if last else 0,
            depth=max((task.depth + 1 for task in before), default=0),
            release=last.id if last else None,
        )
    return Recording(path.stem, round(workflow["execution"]["makespanInSeconds"] * 1_000_000), tasks)
