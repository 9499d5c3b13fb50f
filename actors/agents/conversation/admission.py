"""The agent admits the turn: its version is adopted, guards look at what came in, context variables are read."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from actors.agents.conversation.compacting import compact_and_step
from actors.agents.conversation.decision import Decision
from actors.agents.conversation.ending import fail_turn
from actors.agents.conversation.guarding import flaw_of, guarded, judged, why
from actors.agents.conversation.state import run_of
from actors.agents.conversation.watching import limits_of, watch_admitted
from actors.agents.definition.plan import AgentDefinition, encode_definition
from actors.agents.messages import ReadVariables, TurnMayBegin, TurnOver, TurnRefused
from actors.agents.prompt.assemble import TEMPLATES
from actors.agents.prompt.scopes import scopes_needed, variables_of
from actors.agents.variables import Declared, merged, problem_of
from actors.core.outputs import Ask, Outcome, Tell
from events.conversations import AgentAdopted, Guarded, TurnAdmitted, VariablesRead
from events.errors import Refused


def replied(d: Decision, ref: str, data: Any) -> None:
    """The agent answered: now, or later."""
    if not isinstance(data, dict) or not _waits(d, ref):
        return
    said = cast("dict[str, Any]", data)
    if said.get("admitted"):
        _admitted(d, said["version"], said["hash"], said.get("definition"))


def may_begin(d: Decision, m: TurnMayBegin) -> None:
    """The turn waited in line, and its time has come."""
    number = m.ref.partition(":")[2]
    if _waits(d, number):
        _admitted(d, m.version, m.hash, msgspec.json.decode(m.definition))
    elif d.state.turn is None or str(d.state.turn.number) != number:
        d.out(Tell(f"agent/{d.state.agent}", TurnOver(d.id, int(number), "interrupted")))


def turned_away(d: Decision, m: TurnRefused) -> None:
    """The turn waited in line, and the agent takes no turns any more."""
    refused(d, m.ref.partition(":")[2], m.code, m.reason)


def _waits(d: Decision, number: str) -> bool:
    turn = d.state.turn
    return turn is not None and turn.phase == "admission" and str(turn.number) == number


def refused(d: Decision, ref: str, code: str, reason: str) -> None:
    """The agent takes no turn."""
    if _waits(d, ref):
        fail_turn(d, code, reason)


def _admitted(d: Decision, version: int, hash: str, given: Any) -> None:
    turn = d.turn
    d.emit(TurnAdmitted(turn.number, version, hash, d.now))
    before = limits_of(d.state)
    if hash != d.state.hash:
        try:
            definition = msgspec.convert(given, AgentDefinition)
        except msgspec.ValidationError as error:
            fail_turn(d, "definition", f"version {version} of {d.state.agent} cannot be read here: {error}")
            return
        d.emit(AgentAdopted(version, hash, msgspec.Raw(encode_definition(definition))))
    if flaw := flaw_of(d):
        fail_turn(d, "guards", flaw)
        return
    if d.definition.template not in TEMPLATES:
        fail_turn(d, "template", f"prompts of template {d.definition.template!r} cannot be put together here")
        return
    watch_admitted(d, before)
    for message in turn.messages:
        if message.text:
            guarded(d, "inbound", message.text, f"MessageReceived:{message.number}")
    _looked_at(d)


def guard_said(d: Decision, subject: str, outcome: Outcome) -> None:
    """A verdict on a message that was held."""
    number = int(subject.rpartition(":")[2])
    text = next((m.text for m in d.turn.messages if m.number == number and m.held), None)
    if text is None:
        return
    judged(d, "inbound", subject, text, outcome)
    _looked_at(d)


def _looked_at(d: Decision) -> None:
    """Go on with what the guards let in."""
    turn = d.turn
    if any(m.held for m in turn.messages):
        return
    if all(m.blocked for m in turn.messages):
        verdicts = [v for e in d.events if isinstance(e, Guarded) for v in e.verdicts]
        fail_turn(d, "blocked", why(verdicts))
        return
    if flaw := _of_the_step(d):
        fail_turn(d, "variables", flaw)
        return
    needed = scopes_needed(d.definition, run_of(turn)) if d.definition.visible else {}
    if not needed:
        compact_and_step(d)
        return
    for scope, names in needed.items():
        to = variables_of(
            scope, tenant=d.message.tenant, channel=d.state.channel, agent=d.state.agent,
            run=run_of(turn),
        )  # fmt: skip
        d.out(Ask(to, ReadVariables(names), ref=f"var:{turn.number}:{scope}"))


def _of_the_step(d: Decision) -> str:
    """Take what the step that asks says of variables, by the types and merge rules of the definition; what is wrong
    with it, or "". Of a secret there is only a reference, and no model is shown that."""
    turn, known = d.turn, d.definition.variables
    values: dict[str, Any] = {}
    for message in turn.messages:
        for name, value in message.variables.items():
            made = known.get(name) or known.get(f"step.{name}")
            if made is None:
                return f"{d.state.agent} uses no variable {name!r}; it uses {', '.join(known) or 'none'}"
            try:
                after = merged(made.merge, values.get(name, msgspec.UNSET), value)
            except Refused as refused:
                return f"{name}: {refused.message}"
            if problem := problem_of(Declared(made.schema, made.merge, made.secret), after):
                return f"{name}: {problem}"
            values[name] = after
    if values:
        d.emit(VariablesRead(turn.number, "step", values))
    return ""


def variables_came(d: Decision, ref: str, data: Any) -> None:
    """The context variables of a scope; None: it has none that can be read."""
    number, _, scope = ref.partition(":")
    turn = d.state.turn
    if turn is None or str(turn.number) != number or turn.phase != "admitted":
        return
    if scope in turn.variables:
        return
    values: dict[str, Any] = cast("dict[str, Any]", data).get("values", {}) if isinstance(data, dict) else {}
    d.emit(VariablesRead(turn.number, scope, values))
    if all(scope in turn.variables for scope in scopes_needed(d.definition, run_of(turn))):
        compact_and_step(d)
