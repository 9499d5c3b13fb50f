"""What a step does: its action, planned."""

from __future__ import annotations

from typing import Any, Protocol

from actors.workflows.definition.durations import seconds
from actors.workflows.definition.expressions import Reader
from actors.workflows.definition.model import StepModel
from actors.workflows.definition.parts import ApproveModel, CaseModel, WaitModel
from actors.workflows.definition.problems import nearest
from actors.workflows.definition.schemas import input_problems
from actors.workflows.definition.scopes import View
from actors.workflows.plan import (
    Action,
    ApprovalAction,
    Case,
    SwitchAction,
    TaskAction,
    ValueAction,
    WaitAction,
    WorkflowAction,
)
from actors.workflows.tasks import Task
from actors.workflows.values import source_of
from events.errors import UnknownType


class Tasks(Protocol):
    """Where tasks are looked up."""

    def find(self, name: str) -> Task:
        """The task, or UnknownType."""
        ...

    def names(self) -> list[str]:
        """`name@version` of every task."""
        ...


def action(reader: Reader, tasks: Tasks | None, at: str, m: StepModel, view: View) -> Action:
    """The action of a step that is no group."""
    given = reader.value(f"{at}/with", m.with_, view)
    if m.task is not None:
        return task(reader, tasks, at, m.task, given, m.queue, m.labels)
    if m.workflow is not None:
        return WorkflowAction(m.workflow, given, m.version, m.mode, m.on_close)
    if m.wait is not None:
        return _wait(reader, f"{at}/wait", m.wait, view)
    if m.approve is not None:
        return _approve(reader, f"{at}/approve", m.approve, view)
    if m.switch is not None:
        return _switch(reader, f"{at}/switch", m.switch, m.inclusive, view)
    return ValueAction(reader.value(f"{at}/value", m.value, view))


def task(
    reader: Reader, tasks: Tasks | None, at: str, name: str, given: Any, queue: str, labels: dict[str, str]
) -> TaskAction:
    """A task as it is registered; without a register as it is named."""
    if tasks is None:
        return TaskAction(name, given, queue, labels)
    try:
        found = tasks.find(name)
    except UnknownType as error:
        known = tasks.names()
        base, _, version = name.partition("@")
        versions = [n for n in known if n.partition("@")[0] == base]
        hint = nearest(name, [n.partition("@")[0] for n in known])
        reader.problem(f"{at}/task", error.message, f"there is {', '.join(versions)}" if version and versions else hint)
        return TaskAction(name, given, queue, labels)
    for where, message, hint in input_problems(found, given):
        reader.problem(f"{at}/with{where}", message, hint)
    return TaskAction(found.id, given, queue, labels, found.effect_class, found.code)


def _wait(reader: Reader, at: str, w: WaitModel, view: View) -> WaitAction:
    given = [n for n, v in (("for", w.for_), ("until", w.until), ("event", w.event)) if v not in (None, "")]
    if len(given) != 1:
        said = f"not {' and '.join(given)}" if given else "here is none of them"
        reader.problem(at, f"a wait is for a duration, until a time, or for an event, {said}")
    if not w.event:
        for key, value in (("match", w.match), ("timeout", w.timeout)):
            if value is not None:
                reader.problem(f"{at}/{key}", f"{key} belongs to a wait for an event", "say event: …", key=True)
    length: Any = reader.value(f"{at}/for", w.for_, view)
    if length is not None and not (isinstance(length, str) and source_of(length) is not None):
        try:
            length = seconds(length)
        except ValueError as error:
            reader.problem(f"{at}/for", str(error))
    match = reader.expression(f"{at}/match", w.match, view.seeing("event")) if w.match is not None else None
    until = reader.value(f"{at}/until", w.until, view)
    return WaitAction(
        length if w.timeout is None else w.timeout, until, w.event, (source_of(match) or "") if match else ""
    )


def _approve(reader: Reader, at: str, a: ApproveModel, view: View) -> ApprovalAction:
    approvers = list(dict.fromkeys(a.approvers))
    if approvers and len(approvers) < a.quorum:
        reader.problem(f"{at}/quorum", f"of {len(approvers)} approvers no {a.quorum} can agree")
    return ApprovalAction(reader.value(f"{at}/what", a.what, view), a.title, tuple(approvers), a.quorum, a.expires)


def _switch(reader: Reader, at: str, written: list[CaseModel], inclusive: bool, view: View) -> SwitchAction:
    for n, case in enumerate(written[:-1]):
        if case.when is None:
            reader.problem(
                f"{at}/{n}", "a case without when is for otherwise: only the last one can be", "give it a when"
            )
    cases = (Case(tuple(c.then), reader.expression(f"{at}/{n}/when", c.when, view)) for n, c in enumerate(written))
    return SwitchAction(tuple(cases), inclusive)
