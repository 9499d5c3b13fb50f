"""What a task waits for before it is asked for: an earlier result that will do, a slot of the run, shared limits."""

from __future__ import annotations

from typing import Any

from actors.asset import plain_address
from actors.core.outputs import Ask, Replied, Tell, TellRefused
from actors.limit import Acquire, Granted, Release
from actors.workflows.engine import flow, reuse, slots, work
from actors.workflows.engine.turn import Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.moves import SLOT
from actors.workflows.places import in_plan
from actors.workflows.plan import LimitUse, Step, TaskAction
from events.workflows import StepError, StepWaiting

RESULTS, LIMITS = "results", "limits"
"""Gates that a step has passed: see `StepWaiting.passed`."""


def begin(turn: Turn, place: str, step: Step, action: TaskAction) -> None:
    """The first gate, or the one at which the step stood. Raises ExpressionError."""
    node = turn.node(place)
    if not node.passed and node.attempt == node.base and reuse.applies(step, action):
        reuse.look(turn, place, step, action)
    else:
        go_on(turn, place, step, action)


def go_on(turn: Turn, place: str, step: Step, action: TaskAction) -> None:
    """The slot of the run, then the limits, then the task. Raises ExpressionError."""
    passed = turn.node(place).passed or RESULTS
    if not slots.has_slot(turn):
        turn.emit(StepWaiting(place, SLOT, turn.now, passed=passed))
    elif step.limits and passed != LIMITS:
        _acquire(turn, place, step, wanted(turn, place, step)[0])
    else:
        work.start(turn, place, step, action)


def replied(turn: Turn, message: Replied) -> None:
    """An asset or a limit answered."""
    number, _, place = message.ref.partition(":")
    if not _awaits(turn, place, message.by, number):
        return
    if message.by.startswith("limit/"):
        if message.data["granted"]:
            _granted(turn, place, message.by)
        return
    step = turn.step(place)
    assert isinstance(step.action, TaskAction)
    if not reuse.found(turn, place, message):
        _through(turn, place, step, step.action, RESULTS)


def refused(turn: Turn, message: TellRefused) -> None:
    """A limit can never grant what was asked for."""
    number, _, place = message.ref.partition(":")
    if _awaits(turn, place, message.by, number):
        flow.conclude(turn, place, StepError("refused", f"{message.by}: {message.reason}", {"code": message.code}))


def granted(turn: Turn, message: Granted) -> None:
    """A limit granted, after a while. Whoever does not wait for it any more gave it back already."""
    number, _, place = message.ref.partition(":")
    if _awaits(turn, place, message.limit, number):
        _granted(turn, place, message.limit)


def release(turn: Turn, place: str) -> None:
    """An attempt is over, or nothing comes of it: give back what it holds, and wait for nothing more."""
    step = turn.index.steps.get(in_plan(place))
    if step is None or not step.limits:
        return
    node = turn.node(place)
    if node.status in ("queued", "cancelling", "unknown"):
        attempt = node.attempt
    elif node.status == "waiting" and (node.ref.startswith("limit/") or node.passed == LIMITS):
        attempt = node.attempt + 1
    else:
        return
    for address, _ in wanted(turn, place, step):
        turn.out(Tell(address, Release(_holder(turn, place, attempt))))


def wanted(turn: Turn, place: str, step: Step) -> list[tuple[str, LimitUse]]:
    """The addresses of a step's limits, in the one order in which everybody takes them, so that nobody waits in a
    circle. Raises ExpressionError."""
    found: dict[str, LimitUse] = {}
    for n, use in enumerate(step.limits):
        key = turn.render(place, f"limit{n}", use.key)
        address = limit_address(use.name, key)
        if address not in found or found[address].units < use.units:
            found[address] = use
    return sorted(found.items())


def limit_address(name: str, key: Any = None) -> str:
    """The address of a limit; of one of several under a name when there is a key."""
    return plain_address("limit", name if key is None else f"{name}:{key}")


def _acquire(turn: Turn, place: str, step: Step, want: tuple[str, LimitUse]) -> None:
    address, use = want
    attempt = turn.node(place).attempt + 1
    reason = f"limit {address.partition('/')[2]}"
    turn.emit(StepWaiting(place, reason, turn.now, ref=address, passed=RESULTS))
    run = turn.run
    group = run.parent.address if run.part is not None and run.parent is not None else turn.address
    priority = run.priority if step.priority is None else step.priority
    ref = f"{attempt}:{place}"
    asked = Acquire(_holder(turn, place, attempt), ref, group, use.units, priority, use.size)
    turn.out(Ask(address, asked, ref))


def _granted(turn: Turn, place: str, address: str) -> None:
    step = turn.step(place)
    assert isinstance(step.action, TaskAction)
    left = [want for want in wanted(turn, place, step) if want[0] > address]
    if left:
        _acquire(turn, place, step, left[0])
    else:
        _through(turn, place, step, step.action, LIMITS)


def _through(turn: Turn, place: str, step: Step, action: TaskAction, passed: str) -> None:
    """A gate is open: on to the next one, unless the run is paused or all its slots are taken."""
    if turn.run.paused:
        turn.emit(StepWaiting(place, slots.PAUSED, turn.now, passed=passed))
    elif not slots.has_slot(turn):
        turn.emit(StepWaiting(place, SLOT, turn.now, passed=passed))
    elif passed == RESULTS and step.limits:
        _acquire(turn, place, step, wanted(turn, place, step)[0])
    else:
        try:
            work.start(turn, place, step, action)
        except ExpressionError as error:
            flow.conclude(turn, place, StepError("expression", error.message))


def _awaits(turn: Turn, place: str, address: str, number: str) -> bool:
    node = turn.node(place)
    return node.status == "waiting" and node.ref == address and number == str(node.attempt + 1)


def _holder(turn: Turn, place: str, attempt: int) -> str:
    return f"{turn.address}/{place}#{attempt}"
