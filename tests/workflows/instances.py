"""Recorded executions as workflows, generated ones of their shape, and a checker that reads nothing but the log."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from actors.workflows.plan import Graph, Plan, Step, TaskAction
from events.envelope import Event
from tests.wfinstances.recording import read

FOLDER = Path(os.environ.get("SHARED_DIR") or Path(__file__).parents[3] / "shared") / "data" / "wfinstances"
PATHS = sorted(FOLDER.glob("*.json"))


@dataclass(frozen=True)
class Instance:
    """`parents` and `runtimes` (µs) by task; every task stands after its parents."""

    name: str
    parents: dict[str, tuple[str, ...]]
    runtimes: dict[str, int]

    @property
    def total(self) -> int:
        """All work (µs)."""
        return sum(self.runtimes.values())

    @property
    def edges(self) -> int:
        """Dependencies."""
        return sum(map(len, self.parents.values()))

    @cached_property
    def critical(self) -> int:
        """The longest path (µs)."""
        ends: dict[str, int] = {}
        for task, before in self.parents.items():
            ends[task] = self.runtimes[task] + max((ends[one] for one in before), default=0)
        return max(ends.values())

    @cached_property
    def steps(self) -> dict[str, str]:
        """What a step is called that stands for a task."""
        return {task: f"t{number:05d}" for number, task in enumerate(self.parents)}


def recorded(path: Path) -> Instance:
    """One that was recorded."""
    recording = read(path)
    tasks = recording.tasks
    return Instance(
        recording.name,
        {id: task.parents for id, task in tasks.items()},
        {id: task.runtime for id, task in tasks.items()},
    )


def generated(seed: int = 0, tasks: int = 2_122, edges: int = 6_114, out: int = 1_000, into: int = 1_100) -> Instance:
    """A large one: layers as in a mosaic of images, one task that `out` others need, one that needs `into` others."""
    random = Random(seed)
    names = [f"task-{number}" for number in range(tasks)]
    first, wide, last = names[0], names[1 : 1 + out], names[-1]
    rest = names[1 + out : -1]
    parents: dict[str, set[str]] = {name: set() for name in names}
    for name in wide:
        parents[name].add(first)
    for number, name in enumerate(rest):
        parents[name].add(random.choice(wide if number < 300 else rest[:number]))
    parents[last] = set(random.sample(names[1:-1], into))
    missing = edges - sum(map(len, parents.values()))
    place = {name: number for number, name in enumerate(names)}
    while missing > 0:
        task, before = random.choice(rest), random.choice([*wide, *rest])
        if place[before] < place[task] and before not in parents[task]:
            parents[task].add(before)
            missing -= 1
    ordered = {name: tuple(sorted(parents[name], key=place.__getitem__)) for name in names}
    return Instance(f"generated-{tasks}", ordered, {name: random.randint(1_000, 6_000_000) for name in names})


def shuffled(instance: Instance, seed: int = 0) -> Instance:
    """The same, its tasks in another order."""
    random = Random(seed)
    tasks = list(instance.parents)
    random.shuffle(tasks)
    order = TopologicalSorter({task: instance.parents[task] for task in tasks}).static_order()
    return Instance(instance.name, {task: instance.parents[task] for task in order}, instance.runtimes)


def as_plan(instance: Instance, slots: int, task: str = "work", scale: float = 1.0, queue: str = "") -> Plan:
    """The workflow as a plan: a task `work` for each, with its recorded seconds."""
    dependents: dict[str, list[str]] = {id: [] for id in instance.parents}
    for id, parents in instance.parents.items():
        for parent in parents:
            dependents[parent].append(id)
    steps = tuple(
        Step(
            instance.steps[id],
            TaskAction(task, {"task": id, "seconds": instance.runtimes[id] / 1e6 * scale}, queue),
            needs=tuple(instance.steps[one] for one in parents),
            dependents=tuple(instance.steps[one] for one in dependents[id]),
        )
        for id, parents in instance.parents.items()
    )
    return Plan("instance", 0, "", Graph(steps), concurrency=slots)


def as_text(instance: Instance, slots: int) -> str:
    """The workflow as somebody would write it (JSON is YAML); steps in no useful order."""
    backwards = reversed(instance.parents.items())
    steps: dict[str, Any] = {
        instance.steps[id]: {
            "task": "work",
            "with": {"task": id, "seconds": instance.runtimes[id] / 1e6},
            **({"needs": [instance.steps[one] for one in parents]} if parents else {}),
        }
        for id, parents in backwards
    }
    return "\n".join(
        [
            "name: instance  # " + instance.name,
            f"limits: {{concurrency: {slots}}}",
            "steps:",
            *(f"  {name}: {json.dumps(step)}" for name, step in steps.items()),
        ]
    )


def check_log(instance: Instance, events: list[Event], slots: int, *, scale: float = 1.0, exact: bool = True) -> None:
    """The log of one run says: each task once, after its parents, never more than `slots` at a time, within bounds.

    `exact`: time is virtual, so that nothing but the tasks takes any. Bounds: with one slot the total work; otherwise
    at least the critical path, at most total/m + (1 - 1/m) * critical path (R. L. Graham, 1969, for list schedules).
    """
    named = {step: id for id, step in instance.steps.items()}
    begun: dict[str, int] = {}
    ended: dict[str, int] = {}
    began_at = finished_at = 0
    running = 0
    for event in events:
        data = msgspec.json.decode(event.data)
        if event.type == "RunStarted":
            began_at = data["at"]
        elif event.type == "RunFinished":
            assert data["status"] == "succeeded", data
            finished_at = data["at"]
        elif event.type == "StepQueued":
            id = named[data["step"]]
            assert id not in begun, f"{id} was asked for twice"
            assert data["input"]["task"] == id
            assert all(one in ended for one in instance.parents[id]), f"{id} was asked for before its parents had ended"
            begun[id] = data["at"]
            running += 1
            assert running <= slots, f"{running} tasks under way, {slots} allowed"
        elif event.type == "StepSucceeded":
            id = named[data["step"]]
            assert id in begun, f"{id} ended and never began"
            assert id not in ended, f"{id} ended twice"
            ended[id] = data["at"]
            running -= 1
            if exact:
                taken = ended[id] - begun[id]
                # The loop's clock counts in floating-point seconds, the log in whole microseconds.
                assert abs(taken - instance.runtimes[id]) <= 2, f"{id} took {taken} µs, not {instance.runtimes[id]}"
        else:
            assert event.type in ("RunPlanned", "StepWaiting"), f"{event.type} was not to be expected"
    missing = instance.parents.keys() - ended.keys()
    assert not missing, f"never ended: {sorted(missing)[:5]}"
    makespan, least = finished_at - began_at, round(instance.critical * scale)
    # A sleep of a real event loop may end a millisecond early.
    slack = (2 if exact else 2_000) * len(ended)
    assert makespan >= least - slack, f"{makespan} µs, the critical path alone takes {least}"
    if slots == 1:
        total = round(instance.total * scale)
        assert makespan >= total - slack
        assert not exact or makespan <= total + slack, f"{makespan} µs for work of {total} µs in one slot"
    elif exact:
        most = instance.total / slots + (1 - 1 / slots) * instance.critical
        assert makespan <= most + slack, f"{makespan} µs, a list schedule takes at most {most:.0f}"
