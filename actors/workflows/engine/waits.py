"""Waits: for a time, for an event, for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from actors.approval import ApprovalDecided, RequestApproval, approval_of
from actors.core.outputs import Ask, Cancel, Schedule
from actors.workflows.engine import flow
from actors.workflows.engine.look import captured_as, look_from
from actors.workflows.engine.turn import Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.messages import Signal, StepDue
from actors.workflows.places import in_plan
from actors.workflows.plan import ApprovalAction, WaitAction
from actors.workflows.values import MISSING
from events.workflows import EventAwaited, EventWaitOver, StepError, StepWaiting


def start(turn: Turn, place: str, action: WaitAction) -> None:
    """Wait until a time has come or an event. Raises ExpressionError when the time has no value."""
    due: int | None = None
    if action.until is not None:
        due = moment(turn.render(place, "until", action.until))
    if action.seconds is not None:
        due = turn.now + int(_number(turn.render(place, "seconds", action.seconds)) * 1_000_000)
    reason = f"event {action.event}" if action.event else "a time"
    turn.emit(StepWaiting(place, reason, turn.now, due, action.event))
    if action.event:
        _look_out(turn, place, action)
    if due is not None:
        turn.out(Schedule(f"wait:{place}", StepDue(place, "wait"), at=due))


def _look_out(turn: Turn, place: str, action: WaitAction) -> None:
    """Tell whoever follows the log what to look for, with all that the expression reads besides the event."""
    seen: dict[str, Any] = {}
    if action.match:
        look = look_from(turn, place)
        for reference in turn.template(place, "match", "${" + action.match + "}").references:
            if reference[0] != "event" and (value := look(reference)) is not MISSING:
                seen[captured_as(reference)] = value
    names = list(turn.index.names(in_plan(place)))
    turn.emit(EventAwaited(place, action.event, turn.now, action.match, names, seen))


def forget(turn: Turn, place: str) -> None:
    """A step that waited for an event does so no longer."""
    node = turn.node(place)
    if node.status == "waiting" and node.reason.startswith("event "):
        turn.emit(EventWaitOver(place, turn.now))


def over(turn: Turn, place: str) -> None:
    """The time of a wait has come: what it waited for, or too late for its event."""
    node = turn.node(place)
    action = turn.step(place).action
    if node.status != "waiting" or not isinstance(action, WaitAction):
        return
    if node.reason != f"event {action.event}" and node.reason != "a time":
        return  # the run is paused, and it has not begun
    if action.event:
        flow.conclude(turn, place, StepError("timeout", f"no event {action.event} came in time"))
    else:
        flow.conclude(turn, place, None)


def signalled(turn: Turn, signal: Signal) -> int:
    """An event came: it ends every wait that it matches. Returns how many."""
    count = 0
    for place, node in list(turn.run.nodes.items()):
        if node.status != "waiting" or node.ref != signal.type or (signal.steps and place not in signal.steps):
            continue
        action = turn.step(place).action
        if not isinstance(action, WaitAction) or action.event != signal.type:
            continue
        event = {"type": signal.type, "data": signal.data, "id": signal.id}
        if action.match:
            template = turn.template(place, "match", "${" + action.match + "}")
            try:
                if template.render(look_from(turn, place, {"event": event})) is not True:
                    continue
            except ExpressionError:
                continue  # an event without what is asked for does not match
        turn.out(Cancel(f"wait:{place}"))
        flow.conclude(turn, place, event)
        count += 1
    return count


def ask(turn: Turn, place: str, action: ApprovalAction) -> None:
    """Ask people. Raises ExpressionError when what is to be approved has no value."""
    what = turn.render(place, "what", action.what)
    attempt = turn.node(place).attempt + 1  # what was denied once is asked anew when the run is retried
    address = approval_of(turn.address, place if attempt == 1 else f"{place}~{attempt}")
    turn.emit(StepWaiting(place, "an approval", turn.now, ref=address, attempt=attempt))
    request = RequestApproval(
        ref=place, what=what, title=action.title or place, approvers=list(action.approvers), quorum=action.quorum,
        expires=action.expires, requested_by=turn.address, requesters=_excluded(turn),
    )  # fmt: skip
    turn.out(Ask(address, request, place))


def _excluded(turn: Turn) -> list[str]:
    """Who may not agree. Whoever has an agent start a run is not who agrees to its steps; whoever starts one
    themselves may, where the definition lets them."""
    chain = turn.run.requesters
    return chain if any(name.startswith("agent/") for name in chain) else []


def decided(turn: Turn, message: ApprovalDecided) -> None:
    """People decided."""
    node = turn.node(message.ref)
    if node.status != "waiting" or node.ref != turn.message.sender:
        return
    if message.approved:
        flow.conclude(turn, message.ref, {"approved": True, "by": message.by, "digest": message.digest})
    else:
        flow.conclude(turn, message.ref, StepError(message.reason_kind, message.reason, {"by": message.by}))


def moment(value: Any) -> int:
    """A time as µs: an RFC 3339 text, or µs already. Raises ExpressionError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        time = datetime.fromisoformat(str(value))
    except (TypeError, ValueError) as error:
        raise ExpressionError(
            f"{value!r} is no time: {error}", hint="use RFC 3339, e.g. 2026-01-31T07:00:00Z"
        ) from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000_000)


LONGEST = 100 * 366 * 86_400
"""Seconds of a wait: a hundred years."""


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= LONGEST:
        raise ExpressionError(f"{value!r} is no number of seconds, or too many")
    return max(float(value), 0.0)
