"""The actor kind `run`: one execution of a workflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from actors.approval import ApprovalDecided
from actors.core.kind import Kind
from actors.core.outputs import Outcome, Reply, Schedule, TellRefused
from actors.workflows.engine import closing, flow, repeat, waits, work
from actors.workflows.engine.turn import Engine, Turn
from actors.workflows.expressions import Expressions
from actors.workflows.fold import evolve
from actors.workflows.messages import (
    CancelRun,
    PauseRun,
    RetryRun,
    RunDue,
    RunEnded,
    Signal,
    StartRun,
    StepDue,
    UnpauseRun,
)
from actors.workflows.plan import decode_plan
from actors.workflows.state import Run
from events.envelope import Message
from events.errors import Refused
from events.workflows import RUN_EVENTS, RunPaused, RunPlanned, RunRetried, RunStarted, RunUnpaused, StepSucceeded

MESSAGES: Final = (
    StartRun, CancelRun, PauseRun, UnpauseRun, RetryRun, Signal, StepDue, RunDue, RunEnded, ApprovalDecided, Outcome,
    TellRefused,
)  # fmt: skip


def run_kind(expressions: Expressions) -> Kind:
    """The kind `run`, with the language its plans are written in."""
    engine = Engine(expressions)

    def decide(run: Run, message: Message) -> list[Any]:
        turn = Turn(engine, run, message.to, message)
        _HANDLERS[message.data.__class__](turn, message.data)
        return turn.finish()

    return Kind(
        "run", state=Run, decide=decide, evolve=evolve, messages=MESSAGES, events=RUN_EVENTS, snapshot_every=1000
    )


def _start(turn: Turn, message: StartRun) -> None:
    if turn.run.status != "new":
        raise Refused(f"{turn.address} was started before", code="started")
    plan = decode_plan(message.plan)
    priority = plan.priority if message.priority is None else message.priority
    turn.emit(
        RunStarted(
            plan.name,
            plan.version,
            plan.hash,
            message.inputs,
            turn.now,
            message.parent,
            message.labels,
            priority,
            message.by,
            message.forked_from,
            msgspec.to_builtins(message.part) if message.part is not None else None,
            message.reports_to,
        )
    )
    turn.emit(RunPlanned(message.plan))
    if plan.timeout is not None:
        turn.out(Schedule("run", RunDue(), after=plan.timeout))
    turn.out(Reply({"run": turn.address.partition("/")[2], "status": "running"}))
    for step in plan.root.steps:
        if step.name in message.results:
            turn.emit(StepSucceeded(step.name, turn.now, message.results[step.name], cached=message.forked_from))
            turn.later(flow.ended, turn, step.name)
    if message.part is not None:
        repeat.begin_items(turn, message.part.place, message.part.items, message.part.keys)
    else:
        flow.open_scope(turn, "")


def _cancel(turn: Turn, message: CancelRun) -> None:
    if turn.run.status == "new":
        raise Refused("there is no such run", code="not-found")
    closing.close_run(turn, "cancelled", message.reason or "cancelled", message.by)
    turn.out(Reply({"status": turn.run.closing or turn.run.status}))


def _pause(turn: Turn, message: PauseRun) -> None:
    _must_run(turn)
    if not turn.run.paused:
        turn.emit(RunPaused(message.by, message.reason))
    turn.out(Reply({"status": "paused"}))


def _unpause(turn: Turn, message: UnpauseRun) -> None:
    _must_run(turn)
    if turn.run.paused:
        turn.emit(RunUnpaused(message.by))
        for place, node in list(turn.run.nodes.items()):
            if node.status == "waiting" and node.reason == "the run is paused":
                turn.later(work.again, turn, place)
        turn.later(work.fill, turn)
    turn.out(Reply({"status": "running"}))


def _retry(turn: Turn, message: RetryRun) -> None:
    run = turn.run
    if run.status not in ("failed", "cancelled"):
        raise Refused(f"the run is {run.status}, not failed", code="not-failed")
    if run.part is not None:
        turn.emit(RunRetried([run.part.place], message.by))
        repeat.begin_items(turn, run.part.place, run.part.items, run.part.keys)
        turn.out(Reply({"status": "running"}))
        return
    names = [step.name for step in turn.index.plan.root.steps]
    unfinished = [name for name in names if turn.node(name).status != "succeeded"]
    unknown = [name for name in message.steps if name not in names]
    if unknown:
        raise Refused(f"no step {unknown[0]!r} in this run", code="unknown-step")
    turn.emit(RunRetried(list(dict.fromkeys([*message.steps, *unfinished])), message.by))
    for name in names:
        node = turn.node(name)
        if node.status == "pending" and node.left in (-1, 0) and (node.left == 0 or not turn.step(name).needs):
            turn.later(flow.ready, turn, name)
    turn.out(Reply({"status": "running"}))


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
            repeat.paused_enough(turn, message.step)
        case _:
            work.due(turn, message)


def _run_due(turn: Turn, _message: RunDue) -> None:
    closing.close_run(turn, "failed", "out of time", error=closing.StepError("timeout", "the run took too long"))


def _refused(turn: Turn, message: TellRefused) -> None:
    work.refused(turn, message)


_HANDLERS: Final[dict[type[Any], Callable[[Turn, Any], None]]] = {
    StartRun: _start,
    CancelRun: _cancel,
    PauseRun: _pause,
    UnpauseRun: _unpause,
    RetryRun: _retry,
    Signal: _signal,
    StepDue: _step_due,
    RunDue: _run_due,
    RunEnded: work.child_ended,
    ApprovalDecided: waits.decided,
    Outcome: lambda turn, outcome: None if outcome.kind == "task-cancel" else work.came_back(turn, outcome),
    TellRefused: _refused,
}
