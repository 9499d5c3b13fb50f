"""One durable timer per turn looks whether it makes progress, and whether its time is over."""

from __future__ import annotations

from typing import Any, Final

from actors.agents.conversation.decision import Decision
from actors.agents.conversation.state import Conversation, Turn, run_of
from actors.agents.definition.plan import Limits
from actors.agents.messages import CheckTurn, TurnIsStuck
from actors.agents.prompt.scopes import scopes_needed
from actors.core.outputs import Schedule, Tell
from events.conversations import TurnStuck

TIMER: Final = "turn"
"""Of the timer."""

_SECOND: Final = 1_000_000
_SELDOM: Final = 3_600 * _SECOND


def limits_of(state: Conversation) -> Limits:
    """Of the definition turns are taken by; the usual ones before the first turn was admitted."""
    return state.definition.limits if state.definition is not None else Limits()


def first_check(d: Decision) -> None:
    """Look after the turn that just started."""
    d.out(Schedule(TIMER, CheckTurn(d.turn.number), after=limits_of(d.state).stuck_after))


def watch_admitted(d: Decision, before: Limits) -> None:
    """The version a turn was admitted by may allow less time than was thought."""
    limits = limits_of(d.state)
    if min(limits.stuck_after, limits.turn_timeout) < before.stuck_after:
        check_later(d)


def over_at(turn: Turn, limits: Limits, now: int) -> int:
    """When the time of a turn is over (µs). People who are waited for do not count, nor does the line at the agent."""
    waiting = now - turn.waits_since if turn.waits_since else 0
    return turn.admitted + int(limits.turn_timeout * _SECOND) + turn.waited + waiting


def check_later(d: Decision) -> None:
    """Look when the turn could be stuck or over, and seldom as long as people are waited for."""
    turn, limits = d.turn, limits_of(d.state)
    calm = int(limits.stuck_after * _SECOND)
    if not turn.admitted:
        at = d.now + calm
    else:
        at = over_at(turn, limits, d.now)
        if turn.waits_since:
            at = d.now + max(calm, _SELDOM)
        elif not turn.stuck:
            at = min(at, turn.progress + calm)
    d.out(Schedule(TIMER, CheckTurn(turn.number), at=max(at, d.now + _SECOND)))


def is_over(d: Decision) -> bool:
    """Whether the time of the turn is over."""
    turn = d.turn
    return bool(turn.admitted) and d.now >= over_at(turn, limits_of(d.state), d.now)


def look_again(d: Decision) -> None:
    """Say so if the turn makes no progress, and look again later."""
    turn, limits = d.turn, limits_of(d.state)
    still = turn.admitted and not turn.waits_since and d.now >= turn.progress + int(limits.stuck_after * _SECOND)
    if still and not turn.stuck:
        d.emit(TurnStuck(turn.number, turn.progress, d.now, waiting_for(d.state)))
        d.out(Tell(f"agent/{d.state.agent}", TurnIsStuck(d.id, turn.number, turn.progress)))
    check_later(d)


def waiting_for(state: Conversation) -> list[str]:
    """What the turn under way waits for; empty when none is, or when it waits for nothing (which is a fault)."""
    turn = state.turn
    if turn is None:
        return []
    match turn.phase:
        case "admission":
            return [f"agent/{state.agent}"]
        case "admitted":
            needed = scopes_needed(state.definition, run_of(turn)) if state.definition is not None else {}
            return [f"variables of the {scope}" for scope in needed if scope not in turn.variables]
        case "budget":
            return [f"budget of step {turn.step}"]
        case "model":
            now = (turn.number, turn.step, turn.attempt)
            return [f"model-call {c.call}" for c in state.calls if (c.turn, c.step, c.attempt) == now and not c.lost]
        case "tools":
            return [t.approval or f"call/{t.call}" for t in turn.tools]
        case "inbound" | "prompt" | "output" | "outbound":
            return [f"a guard on {turn.phase}"]
        case _:
            return []


def described(state: Conversation) -> dict[str, Any]:
    """The turn under way, for people."""
    turn = state.turn
    if turn is None:
        return {}
    return {
        "turn": turn.number, "phase": turn.phase, "step": turn.step, "attempt": turn.attempt, "started": turn.started,
        "progress": turn.progress, "stuck": turn.stuck, "waiting_for": waiting_for(state),
        "messages": [m.number for m in turn.messages], "model_calls": turn.model_calls, "tool_calls": turn.tool_calls,
        "cost": turn.cost, "usage": turn.usage,
    }  # fmt: skip
