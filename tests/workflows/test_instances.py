"""Recorded executions of scientific workflows run as workflows, on virtual time, and are judged by the log alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.testing.workflows import Mocks, Takes
from actors.workflows.fold import evolve
from actors.workflows.plan import Plan
from actors.workflows.run import run_kind
from actors.workflows.state import Run
from events.envelope import Event
from infra.cel import Cel
from infra.memory.workflows import Done, planned, run_workflow
from tests.workflows.instances import (
    FOLDER,
    PATHS,
    Instance,
    as_plan,
    as_text,
    check_log,
    generated,
    recorded,
    shuffled,
)

SLOTS = (1, 4, 16, 64)

pytestmark = pytest.mark.timeout(300)


def instances() -> list[Any]:
    if PATHS:
        return [pytest.param(path, id=path.stem) for path in PATHS]
    missing = pytest.mark.skip(reason=f"there are no recorded executions in {FOLDER}")
    return [pytest.param(Path(), marks=missing, id="missing")]


def completes(instance: Instance, definition: Plan | str, slots: int) -> Done:
    """Run it, and have the log checked."""

    def work(value: Any) -> Any:
        return Takes(value["seconds"], value["task"])

    done = run_workflow(definition, Mocks(tasks={"work": work})).succeeded()
    events = [event for event in done.events if event.stream == "run/1"]
    check_log(instance, events, slots)
    assert msgspec.json.decode(msgspec.json.encode(folded(events))) == done.state
    return done


def folded(events: list[Event]) -> Run:
    """The state that the events make."""
    kind = run_kind(Cel())
    run = Run()
    for event in events:
        run = evolve(run, kind.events.decode(event.type, event.schema, event.data))
    return run


@pytest.mark.parametrize("slots", SLOTS)
@pytest.mark.parametrize("path", instances())
def test_every_recorded_execution_completes_within_its_bounds(path: Path, slots: int) -> None:
    instance = recorded(path)
    completes(instance, as_plan(instance, slots), slots)


@pytest.mark.parametrize("path", instances())
def test_written_as_text_it_is_the_same_workflow(path: Path) -> None:
    instance = recorded(path)
    plan = planned(as_text(instance, 16))
    ours = as_plan(instance, 16)
    assert {step.name: set(step.needs) for step in plan.root.steps} == {
        step.name: set(step.needs) for step in ours.root.steps
    }
    assert {step.name: set(step.dependents) for step in plan.root.steps} == {
        step.name: set(step.dependents) for step in ours.root.steps
    }
    completes(instance, plan, 16)


@pytest.mark.parametrize("slots", SLOTS)
def test_one_of_the_largest_completes_too(slots: int) -> None:
    instance = shuffled(generated())
    assert (len(instance.parents), instance.edges) == (2_122, 6_114)
    needed = [one for before in instance.parents.values() for one in before]
    assert max(map(needed.count, set(needed))) >= 1_000
    assert max(map(len, instance.parents.values())) == 1_100
    # Once as somebody would write it.
    completes(instance, as_text(instance, slots) if slots == 4 else as_plan(instance, slots), slots)


def test_the_checker_sees_what_is_wrong() -> None:
    instance = generated(tasks=40, edges=80, out=10, into=20)
    done = completes(instance, as_plan(instance, 4), 4)
    good = [event for event in done.events if event.stream == "run/1"]
    last = max(n for n, event in enumerate(good) if event.type == "StepSucceeded")
    queued = max(n for n, event in enumerate(good) if event.type == "StepQueued")
    first = min(n for n, event in enumerate(good) if event.type == "StepQueued")
    damaged = {
        "twice": [*good[: last + 1], good[last], *good[last + 1 :]],
        "before its parents": [*good[:first], good[queued], *good[first:queued], *good[queued + 1 :]],
        "never began": [*good[:queued], *good[queued + 1 :]],
        "never ended": good[:last] + good[last + 1 :],
    }
    for what, events in damaged.items():
        with pytest.raises(AssertionError, match=what):
            check_log(instance, events, 4)
    with pytest.raises(AssertionError, match="allowed"):
        check_log(instance, good, 3)
