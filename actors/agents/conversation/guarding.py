"""Guards on the edges of a turn: what they say is recorded, and what becomes of the text follows from it.

A text that is held waits for the effect `guard-check`, performed by who can ask a model; without a verdict it is
stopped. While none of an agent's guards holds, nothing waits.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from actors.agents.conversation.decision import Decision, Look
from actors.agents.definition.plan import AgentDefinition, GuardRule
from actors.core.outputs import Effect, Outcome
from actors.tools.guards.looking import DEFAULT_GUARDS
from actors.tools.guards.model import Guard, outcome
from events.conversations import Guarded, Verdict
from events.errors import BadDefinition

GUARD_CHECK: Final = "guard-check"
"""The effect kind that decides about a text that is held."""


class GuardCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """The request of `guard-check`: a text that guards hold, and what they said of it."""

    conversation: str
    edge: str
    text: str
    verdicts: list[Verdict]
    agent: str = ""


class GuardChecked(msgspec.Struct, frozen=True):
    """Its result: the verdicts that take the place of those that held the text."""

    verdicts: list[Verdict]


_DEFAULTS: Final = {
    edge: [guard for guard in DEFAULT_GUARDS if not guard.edges or edge in guard.edges]
    for edge in ("inbound", "prompt", "output", "outbound")
}


def guards_of(definition: AgentDefinition, edge: str) -> list[Guard]:
    """Who looks at an edge: those the definition names there, or the usual ones when it says nothing of that edge."""
    named = definition.guards.get(edge)
    return _DEFAULTS[edge] if named is None else list(map(_guard, named))


def held_back(definition: AgentDefinition) -> bool:
    """Whether an answer is shown only once it is whole: guards that its author named may change or stop it."""
    named = [rule for edge in ("output", "outbound") for rule in definition.guards.get(edge, [])]
    return any(rule.mode != "observe" for rule in named)


def guards_of_calls(definition: AgentDefinition) -> list[Any]:
    """The guards of an agent on the two edges that its tool calls pass, as JSON."""
    found: list[Any] = []
    for edge in ("tool-call", "tool-result"):
        for rule in definition.guards.get(edge, []):
            found.append({**msgspec.to_builtins(_guard(rule)), "edges": [edge]})
    return found


def flaw_of(d: Decision) -> str:
    """Why the guards of the definition cannot look at anything; "" when they can."""
    if not d.definition.guards:
        return ""
    key = (d.look, d.state.hash)
    if key not in _flaws:
        if len(_flaws) > 256:
            _flaws.clear()
        _flaws[key] = _flaw(d)
    return _flaws[key]


_flaws: Final[dict[tuple[Look, str], str]] = {}


def _flaw(d: Decision) -> str:
    try:
        guards_of_calls(d.definition)
        for edge in _DEFAULTS:
            d.look(edge, "", guards_of(d.definition, edge))
    except (msgspec.ValidationError, BadDefinition) as error:
        return str(error)
    return ""


def _guard(rule: GuardRule) -> Guard:
    return msgspec.convert({"name": rule.rule, "mode": rule.mode, **rule.options}, Guard)


def guarded(d: Decision, edge: str, text: str, subject: str = "") -> tuple[str, list[Verdict]]:
    """Look at a text: allow, observe, redact, hold or block, and the verdicts; any verdict is recorded."""
    guards = guards_of(d.definition, edge)
    verdicts = d.look(edge, text, guards) if guards else []
    if not verdicts:
        return "allow", verdicts
    d.emit(Guarded(edge, d.turn.number, d.turn.step, verdicts, subject))
    action = outcome(verdicts)
    if action == "hold":
        check = GuardCheck(d.address, edge, text, verdicts, d.state.agent)
        d.out(Effect(GUARD_CHECK, check, ref=f"guard:{d.turn.number}.{d.turn.step}:{edge}:{subject}"))
    return action, verdicts


def judged(d: Decision, edge: str, subject: str, text: str, result: Outcome) -> tuple[str, list[Verdict]]:
    """The verdict on a text that was held, with what was said of it before. Whatever is no verdict stops it."""
    try:
        said = msgspec.convert(result.result, GuardChecked).verdicts if result.status == "succeeded" else None
    except msgspec.ValidationError:
        said = None
    if said is None:
        said = [Verdict("guard-check", "1", "block", why=result.error or f"the check is {result.status}")]
    elif outcome(said) == "hold":
        said = [Verdict("guard-check", "1", "block", why="held again")]
    before = [v for v in d.look(edge, text, guards_of(d.definition, edge)) if v.action != "hold"]
    verdicts = [*(v for v in before if v not in said), *said] or [Verdict("guard-check", "1", "allow")]
    d.emit(Guarded(edge, d.turn.number, d.turn.step, verdicts, subject))
    return outcome(verdicts), verdicts


def why(verdicts: list[Any]) -> str:
    """What blocked a text, for people."""
    said = [f"{v.rule}{f' ({v.why})' if v.why else ''}" for v in verdicts if v.action in ("block", "hold")]
    return "; ".join(said[:5])
