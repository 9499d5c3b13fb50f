"""The actor kind `run`: one execution of a workflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from actors.agents.messages import DeclareVariable, ReadVariables, RemoveVariable, SetVariable
from actors.approval import ApprovalDecided
from actors.core.kind import Kind
from actors.core.outputs import Outcome, Replied, Reply, Schedule, Tell, TellRefused
from actors.limit import Granted
from actors.workflows import context, fold, index, moves, places, renewal, state
from actors.workflows.awaited import Awaited
from actors.workflows.engine import children, gates, loops, maps, retrying, slots, stopping, undoing, waits, work
from actors.workflows.engine.acts import ACTS
from actors.workflows.engine.ahead import Ahead
from actors.workflows.engine.turn import Engine, Turn
from actors.workflows.expressions import Expressions
from actors.workflows.messages import (
    CancelRun,
    Continue,
    PauseRun,
    RetryRun,
    RunDue,
    RunEnded,
    Signal,
    StartRun,
    StepDue,
    UndoRun,
    UnpauseRun,
)
from actors.workflows.places import part_of
from actors.workflows.plan import Plan, SwitchAction, decode_plan
from actors.workflows.state import Run
from actors.workflows.tasks import CANCEL
from events.agents import CONTEXT_EVENTS
from events.envelope import Message
from events.errors import Refused
from events.workflows import (
    RUN_EVENTS,
    BranchTaken,
    RunPaused,
    RunPlanned,
    RunStarted,
    RunUnpaused,
    StepError,
    StepSucceeded,
)

MESSAGES: Final = (
    StartRun, CancelRun, PauseRun, UnpauseRun, RetryRun, UndoRun, Continue, Signal, StepDue, RunDue, RunEnded,
    ApprovalDecided, Outcome, Replied, TellRefused, Granted, SetVariable, DeclareVariable, RemoveVariable,
    ReadVariables,
)  # fmt: skip

INNER: Final = (UndoRun, Continue, StepDue, RunDue, RunEnded, ApprovalDecided, Granted)

SNAPSHOT_EVERY: Final = 1_000
"""Events."""


def run_kind(expressions: Expressions) -> Kind:
    """The kind `run`, with the language its plans are written in."""
    engine = Engine(expressions, ACTS)
    ahead = Ahead()

    def decide(run: Run, message: Message) -> list[Any]:
        turn = decided(engine, run, message)
        ahead.remember(run, turn)
        return [*turn.events, *turn.outs]

    return Kind(
        "run", state=Run, decide=decide, evolve=ahead.evolve, messages=MESSAGES, inner=INNER, 
        events=(*RUN_EVENTS, *CONTEXT_EVENTS),
        snapshot_every=SNAPSHOT_EVERY, folded_by=(fold, moves, renewal, state, places, index),
        follows=lambda: Awaited(expressions),
    )  # fmt: skip


def decided(engine: Engine, run: Run, message: Message) -> Turn:
    """What a message leads to; the run itself is not touched. Raises Refused."""
    turn = Turn(engine, run, message.to, message)
    _HANDLERS[message.data.__class__](turn, message.data)
    turn.finish()
    return turn


def _start(turn: Turn, message: StartRun) -> None:
    if turn.run.status != "new":
        raise Refused(f"{turn.address} was started before", code="started")
    try:
        plan = decode_plan(message.plan)
    except msgspec.DecodeError as error:
        raise Refused(f"this is no plan: {error}", code="plan") from None
    known = {step.name for step in plan.root.steps}
    unknown = [name for name in message.results if name not in known]
    if unknown:
        raise Refused(f"there are results of {unknown[0]!r}, which is no step of {plan.name}", code="unknown-step")
    priority = plan.priority if message.priority is None else message.priority
    turn.emit(
        RunStarted(
            plan.name, plan.version, plan.hash, message.inputs, turn.now, message.parent, message.labels, priority,
            message.by, message.forked_from,
            msgspec.to_builtins(message.part) if message.part is not None else None, message.reports_to,
            message.requesters, message.cause or turn.message.correlation or turn.message.id,
        )
    )  # fmt: skip
    turn.emit(RunPlanned(message.plan))
    turn.out(Reply({"run": turn.address.partition("/")[2], "status": "running"}))
    if message.part is not None:
        maps.begin_items(turn, message.part.place, message.part.items, message.part.keys)
        return
    context.begin(turn, plan, message.variables, message.by)
    _time_begins(turn, plan)
    for step in plan.root.steps:
        if step.name in message.results:
            result = message.results[step.name]
            if isinstance(step.action, SwitchAction):
                others = [name for case in step.action.cases for name in case.then if name not in result]
                turn.emit(BranchTaken(step.name, turn.now, result, list(dict.fromkeys(others)), {}))
            turn.emit(StepSucceeded(step.name, turn.now, result, cached=message.forked_from))
            turn.later("ended", step.name)
    turn.later("open block", "")


def _time_begins(turn: Turn, plan: Plan) -> None:
    if plan.timeout is not None:
        turn.out(Schedule("run", RunDue(), after=plan.timeout))


def _cancel(turn: Turn, message: CancelRun) -> None:
    if turn.run.status == "new":
        raise Refused("there is no such run", code="not-found")
    stopping.close_run(turn, "cancelled", message.reason or "cancelled", message.by)
    turn.out(Reply({"status": turn.run.closing or turn.run.status}))


def _pause(turn: Turn, message: PauseRun) -> None:
    _must_run(turn)
    if not turn.run.paused:
        turn.emit(RunPaused(message.by, message.reason))
        _tell_parts(turn, PauseRun(message.by, message.reason))
    turn.out(Reply({"status": "paused"}))


def _unpause(turn: Turn, message: UnpauseRun) -> None:
    _must_run(turn)
    if turn.run.paused:
        turn.emit(RunUnpaused(message.by))
        _tell_parts(turn, UnpauseRun(message.by))
        for place, node in turn.run.nodes.items():
            if node.status == "waiting" and node.reason == slots.PAUSED:
                turn.later("on", place)
        turn.later("fill slots")
    turn.out(Reply({"status": "running"}))


def _tell_parts(turn: Turn, message: Any) -> None:
    """The runs that handle the items of a map are this run."""
    for place, node in turn.run.nodes.items():
        if node.status == "waiting" and node.ref.startswith("run/") and part_of(place) is not None:
            turn.out(Tell(node.ref, message))


def _retry(turn: Turn, message: RetryRun) -> None:
    run = turn.run
    partly = run.part is not None and run.status == "succeeded" and turn.node(run.part.place).bad
    if run.status not in ("failed", "cancelled") and not partly:
        raise Refused(f"the run is {run.status}, not failed", code="not-failed")
    retrying.retry(turn, message)
    if run.part is None:
        _time_begins(turn, turn.index.plan)
    turn.out(Reply({"status": "running"}))


def _undo(turn: Turn, message: UndoRun) -> None:
    if turn.run.status != "succeeded":
        raise Refused(f"the run is {turn.run.status}", code="not-succeeded")
    undoing.undo_run(turn, message)


def _must_run(turn: Turn) -> None:
    if turn.run.status != "running":
        raise Refused(f"the run is {turn.run.status}", code="not-running")


def _signal(turn: Turn, message: Signal) -> None:
    turn.out(Reply({"matched": waits.signalled(turn, message)}))


def _step_due(turn: Turn, message: StepDue) -> None:
    match message.why:
        case "wait":
            waits.over(turn, message.step)
        case "loop":
            loops.paused_enough(turn, message.step)
        case _:
            work.due(turn, message)


def _run_due(turn: Turn, _message: RunDue) -> None:
    stopping.close_run(turn, "failed", "out of time", error=StepError("timeout", "the run took too long"))


def _outcome(turn: Turn, outcome: Outcome) -> None:
    if outcome.kind != CANCEL:
        work.came_back(turn, outcome)


def _replied(turn: Turn, message: Replied) -> None:
    answer = gates.replied if message.by.startswith(("limit/", "asset/")) else children.replied
    answer(turn, message)


def _refused(turn: Turn, message: TellRefused) -> None:
    answer = gates.refused if message.by.startswith(("limit/", "asset/")) else children.refused
    answer(turn, message)


def _continue(_turn: Turn, _message: Continue) -> None:
    """Every decision goes on with what was deferred."""


_HANDLERS: Final[Mapping[type[Any], Callable[[Turn, Any], None]]] = {
    StartRun: _start,
    CancelRun: _cancel,
    PauseRun: _pause,
    UnpauseRun: _unpause,
    RetryRun: _retry,
    UndoRun: _undo,
    Continue: _continue,
    Signal: _signal,
    StepDue: _step_due,
    RunDue: _run_due,
    RunEnded: children.ended,
    ApprovalDecided: waits.decided,
    Outcome: _outcome,
    Replied: _replied,
    TellRefused: _refused,
    Granted: gates.granted,
    SetVariable: context.variable,
    DeclareVariable: context.variable,
    RemoveVariable: context.variable,
    ReadVariables: context.variable,
}
