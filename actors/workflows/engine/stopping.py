"""Stopping what is under way, from the outside in; what must happen in any case (`finally`) goes on."""

from __future__ import annotations

from actors.approval import Withdraw
from actors.core.outputs import Cancel, Effect, Schedule, Tell
from actors.workflows.engine import blocks, children, flow
from actors.workflows.engine.turn import Stopped, Turn
from actors.workflows.messages import StepDue
from actors.workflows.places import part_of
from actors.workflows.tasks import CANCEL, CancelCall
from events.workflows import RunClosing, StepCancelled, StepCancelling, StepError

SLACK = 5.0
"""Seconds more than its grace that the performer of a stopped task has to say so."""


def close_run(turn: Turn, status: str, reason: str, by: str = "", error: StepError | None = None) -> None:
    """The run will end as `status`: nothing new begins, what is under way is stopped."""
    run = turn.run
    if run.closing or run.status != "running":
        return
    turn.emit(RunClosing(status, reason, by, error))
    if run.part is not None:
        stop(turn, run.part.place, reason)
    else:
        blocks.close(turn, "", reason, "stopped", None)


def stop(turn: Turn, place: str, reason: str, error: StepError | None = None) -> None:
    """Stop one step, item or iteration: at once if nobody works on it, else when whoever does says so.

    With `error` that is how it ends, and its `catch` may deal with it; else it ends as cancelled.
    """
    node = turn.node(place)
    status = node.status
    if status == "queued":
        grace = turn.index.plan.grace
        turn.emit(StepCancelling(place, reason, turn.now, error))
        turn.out(Effect(CANCEL, CancelCall(turn.address, place, node.attempt, grace)))
        due = StepDue(place, "grace", node.attempt)
        turn.out(Schedule(f"grace:{place}", due, after=grace + SLACK))
    elif status == "open":
        _stop_inside(turn, place, reason, error)
    elif status == "waiting" and node.ref.startswith("run/"):
        children.stop(turn, place, reason, error)
    elif status in ("waiting", "retrying", "unknown"):
        if node.ref.startswith("approval/"):
            turn.out(Tell(node.ref, Withdraw(reason)))
        if status != "unknown":
            turn.out(Cancel(f"{'retry' if status == 'retrying' else 'wait'}:{place}"))
        else:
            reason = f"{reason}; nobody knows whether it did its work"
        found = part_of(place)
        if found is not None:  # it had no slot yet
            turn.emit(StepCancelled(place, reason, turn.now))
            turn.later("check map", found[0])
        else:
            flow.conclude(turn, place, error or Stopped(reason))


def _stop_inside(turn: Turn, place: str, reason: str, error: StepError | None) -> None:
    scopes = turn.run.scopes
    if f"{place}!finally" in scopes:
        return
    if f"{place}!catch" in scopes:
        blocks.close(turn, f"{place}!catch", reason, "stopped", error)
    elif place in scopes:
        blocks.close(turn, place, reason, "stopped", error)
    else:
        stop_repeated(turn, place, reason, error)


def stop_repeated(turn: Turn, place: str, reason: str, error: StepError | None = None) -> None:
    """A map or a loop: what is under way of it stops, then it ends."""
    turn.emit(StepCancelling(place, reason, turn.now, error))
    node = turn.node(place)
    if node.parts:
        inner = [f"{place}%{n}" for n in range(node.parts)]
    elif node.held is not None:
        inner = [f"{place}[{n}]" for n in range(node.next)]
    else:
        inner = [f"{place}#{node.next - 1}"] if node.next else []
    for at in inner:
        if turn.under_way(at):
            turn.later("stop", at, reason)
    turn.later("check map", place)


def stopped(turn: Turn, place: str, reason: str = "") -> None:
    """Whoever worked on a step has stopped: it ends as it was to end."""
    node = turn.node(place)
    turn.out(Cancel(f"grace:{place}"))
    flow.conclude(turn, place, node.error or Stopped(node.reason or reason))
