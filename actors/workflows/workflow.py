"""The actor kind `workflow` (`workflow/<name>`): the versions of a definition, and the door to its runs.

A run is asked for here, not at `run/<id>`: its inputs are checked against the version's schema, and no more runs are
let in at once than the newest version allows. The others wait in order; beyond the queue they are refused as `busy`.
Someone with a `parent` is told of a refusal as `RunEnded`, since whoever is in line cannot be answered any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from actors import cron
from actors.core.kind import Kind
from actors.core.outputs import Reply, Tell, TellRefused
from actors.workflows.context import unfit
from actors.workflows.inputs import checked, schema_problem
from actors.workflows.messages import CancelRun, RunEnded, RunOver, SetSchedule, StartRun, StartWorkflow, StopRun
from actors.workflows.plan import Plan, Recurrence, decode_plan, encode_plan
from events.address import is_address, own_name, split
from events.definitions import (
    DEFINITION_EVENTS,
    WorkflowPublished,
    WorkflowRetired,
    WorkflowRunAdmitted,
    WorkflowRunEnded,
    WorkflowRunQueued,
)
from events.envelope import Message
from events.errors import InvalidName, Refused
from events.workflows import StepError

KEPT: Final = 50
"""Versions that runs can be started on: the newest ones. The log has them all."""


class PublishWorkflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Make `plan` the newest version; its own version number is not looked at. `source` is the text it was made from.

    A plan with the hash of the newest version changes nothing: its version is the answer.
    """

    plan: msgspec.Raw
    source: str = ""
    by: str = ""


class RetireWorkflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Start no more runs. Those under way go on; those in line are cancelled."""

    by: str = ""
    reason: str = ""


class DescribeWorkflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a version says (the newest when None), and how the runs stand."""

    version: int | None = None


class Version(msgspec.Struct, frozen=True):
    """One published version, with the plan as it is stored."""

    hash: str
    plan: msgspec.Raw
    at: int
    by: str = ""


class Workflow(msgspec.Struct, omit_defaults=True):
    """`versions` by number, `active` the runs under way with their version, `queue` those that wait, in order."""

    newest: int = 0
    retired: bool = False
    versions: dict[str, Version] = {}
    active: dict[str, int] = {}
    queue: dict[str, StartWorkflow] = {}


def decide(state: Workflow, message: Message) -> list[Any]:
    """What a workflow makes of a message."""
    return _DECISIONS[message.data.__class__](state, message.data, message)


def _publish(state: Workflow, m: PublishWorkflow, message: Message) -> list[Any]:
    try:
        plan = decode_plan(m.plan)
    except msgspec.DecodeError as error:
        raise Refused(f"this is no plan: {error}", code="plan") from None
    name = message.to.partition("/")[2]
    if plan.name != name:
        raise Refused(f"the definition is called {plan.name!r}, not {name!r}", code="name")
    if not plan.hash:
        raise Refused("the plan has no hash", code="plan")
    problem = schema_problem(plan.inputs)
    if problem:
        raise Refused(f"the schema of the inputs is none: {problem}", code="plan")
    if plan.schedule is not None:
        _check_schedule(plan.schedule)
    newest = state.versions.get(str(state.newest))
    if newest is not None and newest.hash == plan.hash and not state.retired:
        return [Reply({"name": name, "version": state.newest, "hash": plan.hash, "published": False})]
    number = state.newest + 1
    stored = msgspec.Raw(encode_plan(replace(plan, version=number)))
    outs: list[Any] = [WorkflowPublished(number, plan.hash, m.source, stored, message.time, m.by or message.sender)]
    before = _plan(newest) if newest is not None and not state.retired else None
    if plan.schedule is not None or (before is not None and before.schedule is not None):
        outs.append(Tell(f"schedule/{name}", SetSchedule(plan.schedule, number)))
    # The new version may let in more runs at once than the one before.
    outs += _admit(state, dict(state.queue), len(state.active), plan, message)
    return [*outs, Reply({"name": name, "version": number, "hash": plan.hash, "published": True})]


def _check_schedule(recurrence: Recurrence) -> None:
    try:
        cron.parse(recurrence.cron)
        cron.zone_of(recurrence.zone)
    except cron.CronError as error:
        raise Refused(error.message, code="schedule") from None


def _retire(state: Workflow, m: RetireWorkflow, message: Message) -> list[Any]:
    newest = _newest(state, message)
    outs: list[Any] = [WorkflowRetired(message.time, m.by or message.sender, m.reason)]
    for request in state.queue.values():
        outs += _drop(request, m.reason or "the workflow was retired", message)
    if newest.schedule is not None:
        outs.append(Tell(f"schedule/{message.to.partition('/')[2]}", SetSchedule(None, state.newest)))
    return [*outs, Reply({"retired": True})]


def _start(state: Workflow, m: StartWorkflow, message: Message) -> list[Any]:
    if m.run in state.active:
        return [Reply({"run": m.run, "version": state.active[m.run], "status": "started"})]
    if m.run in state.queue:
        return [Reply({"run": m.run, "version": state.queue[m.run].version, "status": "queued"})]
    try:
        return _let_in(state, m, message)
    except Refused as refused:
        if m.parent is None or not m.parent.address:
            raise
        error = StepError(refused.reason_code, f"{message.to}: {refused.message}")
        return [Tell(m.parent.address, RunEnded(m.parent.ref, "failed", error=error))]


def _let_in(state: Workflow, m: StartWorkflow, message: Message) -> list[Any]:
    newest = _newest(state, message)
    if (m.requesters or m.cause) and not is_address(message.sender):
        whose = ", ".join(m.requesters) or m.cause
        raise Refused(f"{message.sender} cannot ask in the name of {whose}", code="speaker")
    try:
        split(f"run/{m.run}")
    except InvalidName as error:
        raise Refused(error.message, code="name") from None
    number = state.newest if m.version is None else m.version
    version = state.versions.get(str(number))
    if version is None:
        known = f"{max(1, state.newest - KEPT + 1)} to {state.newest}"
        raise Refused(f"there is no version {number} of {message.to}; there are {known}", code="version")
    plan = _plan(version)
    inputs, problems = checked(plan.hash, plan.inputs, m.inputs)
    if problems:
        raise Refused("; ".join(problems), code="inputs")
    if wrong := unfit(plan, m.variables):
        raise Refused("; ".join(wrong), code="variables")
    cause = m.cause or message.correlation or message.id
    request = replace(m, inputs=inputs, version=number, by=own_name(m.by, message.sender), cause=cause)
    if newest.runs is None or len(state.active) < newest.runs:
        reply = Reply({"run": m.run, "version": number, "status": "started"})
        return [*_begin(request, version, message), reply]
    if len(state.queue) >= newest.queue:
        raise Refused(
            f"{len(state.active)} runs of {message.to} are under way and {len(state.queue)} wait; try again later",
            code="busy",
        )
    queued = WorkflowRunQueued(m.run, number, msgspec.to_builtins(request), message.time)
    return [queued, Reply({"run": m.run, "version": number, "status": "queued", "ahead": len(state.queue)})]


def _begin(request: StartWorkflow, version: Version, message: Message) -> list[Any]:
    assert request.version is not None
    start = StartRun(
        version.plan, request.inputs, request.parent, request.labels, request.priority, request.by,
        request.results, request.forked_from, reports_to=message.to, variables=request.variables,
        requesters=request.requesters, cause=request.cause,
    )  # fmt: skip
    admitted = WorkflowRunAdmitted(request.run, request.version, message.time, request.by)
    return [admitted, Tell(f"run/{request.run}", start)]


def _admit(state: Workflow, queue: dict[str, StartWorkflow], active: int, newest: Plan, message: Message) -> list[Any]:
    """Let in as many of those in line as there is room for."""
    outs: list[Any] = []
    for request in queue.values():
        if newest.runs is not None and active >= newest.runs:
            break
        assert request.version is not None
        version = state.versions.get(str(request.version))
        if version is None:  # so many versions were published while it waited
            outs += _drop(request, f"version {request.version} is not kept any more", message)
            continue
        outs += _begin(request, version, message)
        active += 1
    return outs


def _over(state: Workflow, m: RunOver, message: Message) -> list[Any]:
    return _left(state, m.run, m.status, "", message)


def _left(state: Workflow, run: str, status: str, reason: str, message: Message) -> list[Any]:
    """A run is not under way any more: the next in line begins."""
    if run not in state.active:
        return []
    ended = WorkflowRunEnded(run, status, message.time, reason)
    if not state.queue:
        return [ended]
    return [
        ended,
        *_admit(state, state.queue, len(state.active) - 1, _plan(state.versions[str(state.newest)]), message),
    ]


def _stop(state: Workflow, m: StopRun, message: Message) -> list[Any]:
    if m.run in state.queue:
        outs = _drop(state.queue[m.run], m.reason or "cancelled", message)
        return [*outs, Reply({"run": m.run, "status": "cancelled"})]
    if m.run in state.active:
        return [Tell(f"run/{m.run}", CancelRun(m.reason, m.by or message.sender)), Reply({"run": m.run})]
    raise Refused(f"no run {m.run!r} of {message.to} is under way", code="not-found")


def _drop(request: StartWorkflow, reason: str, message: Message) -> list[Any]:
    """Take a run from the queue; it never began."""
    outs: list[Any] = [WorkflowRunEnded(request.run, "cancelled", message.time, reason)]
    if request.parent is not None and request.parent.address:
        error = StepError("cancelled", reason)
        outs.append(Tell(request.parent.address, RunEnded(request.parent.ref, "cancelled", error=error)))
    return outs


def _refused(state: Workflow, m: TellRefused, message: Message) -> list[Any]:
    """A run did not want to be started (its name was taken), or to be cancelled (it was over)."""
    if m.message_type != "StartRun" or not m.by.startswith("run/"):
        return []
    return _left(state, m.by.partition("/")[2], "refused", m.reason, message)


def _newest(state: Workflow, message: Message) -> Plan:
    if not state.newest:
        raise Refused(f"there is no {message.to}", code="not-found")
    if state.retired:
        raise Refused(f"{message.to} is retired", code="retired")
    return _plan(state.versions[str(state.newest)])


_plans: dict[str, Plan] = {}


def _plan(version: Version) -> Plan:
    """The plan of a version, opened; kept by its hash for what all versions of that hash share."""
    found = _plans.get(version.hash)
    if found is None:
        if len(_plans) >= 200:
            _plans.clear()
        found = _plans[version.hash] = decode_plan(version.plan)
    return found


_DECISIONS: Final[dict[type[Any], Callable[[Workflow, Any, Message], list[Any]]]] = {
    PublishWorkflow: _publish,
    RetireWorkflow: _retire,
    StartWorkflow: _start,
    StopRun: _stop,
    RunOver: _over,
    TellRefused: _refused,
}


def evolve(state: Workflow, event: Any) -> Workflow:
    """What an event makes of a workflow."""
    match event:
        case WorkflowPublished():
            state.newest, state.retired = event.version, False
            # A copy: the bytes of the event may be part of a larger buffer.
            plan = event.plan.copy()
            state.versions[str(event.version)] = Version(event.hash, plan, event.at, event.by)
            state.versions.pop(str(event.version - KEPT), None)
        case WorkflowRetired():
            state.retired = True
        case WorkflowRunQueued():
            state.queue[event.run] = msgspec.convert(event.request, StartWorkflow)
        case WorkflowRunAdmitted():
            state.queue.pop(event.run, None)
            state.active[event.run] = event.version
        case WorkflowRunEnded():
            state.queue.pop(event.run, None)
            state.active.pop(event.run, None)
        case _:
            pass
    return state


def query(state: Workflow, question: DescribeWorkflow) -> Any:
    """The plan of a version, and how many runs are under way and in line. Raises Refused for an unknown version."""
    number = state.newest if question.version is None else question.version
    version = state.versions.get(str(number))
    if version is None:
        raise Refused(f"there is no version {number}", code="version")
    versions = [{"version": int(n), "hash": v.hash, "at": v.at, "by": v.by} for n, v in state.versions.items()]
    return {
        "version": number, "hash": version.hash, "plan": version.plan, "newest": state.newest, "retired": state.retired,
        "versions": versions, "active": len(state.active), "queued": list(state.queue),
    }  # fmt: skip


workflow = Kind(
    "workflow", state=Workflow, decide=decide, evolve=evolve, query=query, questions=[DescribeWorkflow],
    messages=[PublishWorkflow, RetireWorkflow, StartWorkflow, StopRun, RunOver, TellRefused], inner=[RunOver],
    events=DEFINITION_EVENTS, snapshot_every=1000,
)  # fmt: skip
