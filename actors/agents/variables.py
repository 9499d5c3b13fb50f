"""The actor kind `variables` (`variables/<scope>.<id>`): context variables of a platform, tenant, channel or agent.

Those of a conversation and of a run live with it, those of a step come with its question. Where several scopes have a
variable, the nearest one counts: step, run, conversation, agent, channel, tenant, platform. A variable has a type and a
rule by which concurrent updates are merged; the value of a secret is a reference to it, never the secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from actors.agents.messages import DeclareVariable, ReadVariables, RemoveVariable, SetVariable
from actors.core.kind import Kind
from actors.core.outputs import Reply
from actors.workflows.inputs import checked, schema_problem
from events.agents import CONTEXT_EVENTS, VariableDeclared, VariableRemoved, VariableSet
from events.envelope import Message
from events.errors import Refused

if TYPE_CHECKING:
    from actors.agents.definition.plan import AgentDefinition

PRECEDENCE: Final = ("step", "run", "conversation", "agent", "channel", "tenant", "platform")
"""The scopes, the nearest first: its value counts."""

HELD_HERE: Final = ("agent", "channel", "tenant", "platform")
"""Scopes whose variables are actors of their own."""

RULES: Final = ("last", "first", "max", "min", "sum", "union", "append", "conflict")

LARGEST: Final = 65_536
"""Bytes of one value as JSON."""

REFERENCE: Final = re.compile(r"(vault|env):[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}")
"""How a secret is named."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_canonical = msgspec.json.Encoder(order="deterministic").encode


class Declared(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a variable is."""

    schema: dict[str, Any]
    merge: str = "last"
    secret: bool = False


class Variables(msgspec.Struct, omit_defaults=True):
    """Variables of one scope: what they are, and the values of those that have one."""

    declared: dict[str, Declared] = {}
    values: dict[str, Any] = {}


def copied(held: Variables) -> Variables:
    """A copy on which events can be tried."""
    return Variables(dict(held.declared), dict(held.values))


def merged(rule: str, old: Any, new: Any) -> Any:
    """What two updates come to. `old` is UNSET when there is no value yet. Raises Refused when they do not merge.

    max, min, sum (of integers) and union do not depend on the order in which updates come; union is a list of what is
    in either, once, in the order of its canonical JSON. append adds the items of a list, or one that is no list.
    """
    if rule == "union":
        return _union([] if old is msgspec.UNSET else _list(rule, old), _list(rule, new))
    if rule == "append":
        more = cast("list[Any]", new) if isinstance(new, list) else [new]
        return [*([] if old is msgspec.UNSET else _list(rule, old)), *more]
    if rule in ("max", "min"):
        return _extreme(rule, new if old is msgspec.UNSET else old, new)
    if rule == "sum":
        total = _number(rule, new)
        return total if old is msgspec.UNSET else _number(rule, old) + total
    if old is msgspec.UNSET or rule == "last":
        return new
    if rule == "first":
        return old
    if rule == "conflict":
        if _canonical(old) != _canonical(new):
            raise Refused("there is another value already, and the rule is conflict", code="conflict")
        return old
    raise Refused(f"{rule!r} is not one of {', '.join(RULES)}", code="merge")


def _extreme(rule: str, old: Any, new: Any) -> Any:
    if isinstance(old, str) != isinstance(new, str):
        raise Refused(f"{rule} cannot compare a text with a number", code="merge")
    if not isinstance(old, str):
        _number(rule, old)
        _number(rule, new)
        if old == new:  # 1 and 1.0: whichever came first
            return min(old, new, key=_canonical)
    return (max if rule == "max" else min)(old, new)


def _number(rule: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{rule} needs a number, not {_shown(value)}", code="merge")
    return value


def _list(rule: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Refused(f"{rule} needs a list, not {_shown(value)}", code="merge")
    return cast("list[Any]", value)


def _union(old: list[Any], new: list[Any]) -> list[Any]:
    found = {_canonical(item): item for item in (*old, *new)}
    return [found[key] for key in sorted(found)]


def _shown(value: Any) -> str:
    return repr(value)[:60]


def effective(scopes: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> dict[str, Any]:
    """The values of variables by the precedence of scopes; `scope.name` asks one scope. Unset ones are left out."""
    found: dict[str, Any] = {}
    for name in names:
        scope, dot, plain = name.partition(".")
        for place in (scope,) if dot else PRECEDENCE:
            values = scopes.get(place, {})
            if (plain if dot else name) in values:
                found[name] = values[plain if dot else name]
                break
    return found


def visible_values(definition: AgentDefinition, scopes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a model is shown of the variables: the effective values, else the defaults of the definition."""
    spoken = {name: definition.variables[name].default for name in definition.visible if name in definition.variables}
    defaults = {name: default for name, default in spoken.items() if default is not msgspec.UNSET}
    return defaults | effective(scopes, definition.visible)


def problem_of(declared: Declared, value: Any) -> str:
    """Why a variable cannot have a value; "" when it can. A secret itself is never quoted."""
    if declared.secret:
        good = isinstance(value, str) and REFERENCE.fullmatch(value)
        return "" if good else "a secret is set by reference: vault:NAME or env:NAME, never by its value"
    if len(_canonical(value)) > LARGEST:
        return f"more than {LARGEST} bytes"
    name = blake2b(_canonical(declared.schema), digest_size=16).hexdigest()
    _, problems = checked(name, {"properties": {"value": declared.schema}}, {"value": value})
    return "; ".join(problem.removeprefix("inputs.") for problem in problems)


def decide(state: Variables, message: Message) -> list[Any]:
    """What the variables of a scope make of a message."""
    now = message.time
    match message.data:
        case SetVariable(name, value, by):
            return _set(state, name, value, by or message.sender, now)
        case DeclareVariable() as m:
            return _declare(state, m, m.by or message.sender, now)
        case RemoveVariable(name, by):
            removed: list[Any] = [VariableRemoved(name, now, by or message.sender)] if name in state.values else []
            return [*removed, Reply({"removed": bool(removed)})]
        case ReadVariables(names):
            known = [n for n in names or state.declared if n in state.declared]
            values = {n: state.values[n] for n in known if n in state.values}
            return [Reply({"values": values, "types": {n: state.declared[n].schema for n in known}})]
        case _:
            return []


def _set(state: Variables, name: str, value: Any, by: str, now: int) -> list[Any]:
    declared = state.declared.get(name)
    if declared is None:
        raise Refused(f"there is no variable {name!r} here: declare it first", code="undeclared")
    before = state.values.get(name, msgspec.UNSET)
    after = merged(declared.merge, before, value)
    problem = problem_of(declared, value) if declared.secret else problem_of(declared, after)
    if problem:
        raise Refused(f"{name}: {problem}", code="value")
    reply = Reply({"name": name, "value": after})
    if before is not msgspec.UNSET and _canonical(before) == _canonical(after):
        return [reply]
    return [VariableSet(name, after, None if _canonical(after) == _canonical(value) else value, now, by), reply]


def _declare(state: Variables, m: DeclareVariable, by: str, now: int) -> list[Any]:
    if not _NAME.fullmatch(m.name):
        raise Refused(f"{m.name[:60]!r} is no name: letters, digits and _, beginning with a letter", code="name")
    if m.merge not in RULES:
        raise Refused(f"{m.merge!r} is not one of {', '.join(RULES)}", code="merge")
    if m.secret and m.merge not in ("last", "first", "conflict"):
        raise Refused(f"the values of a secret cannot be merged by {m.merge}", code="merge")
    problem = schema_problem(m.schema)
    if problem:
        raise Refused(f"the type of {m.name} is no JSON Schema: {problem}", code="schema")
    declared = Declared(m.schema, m.merge, m.secret)
    if m.name in state.values and (unfit := problem_of(declared, state.values[m.name])):
        raise Refused(f"{m.name} has a value that does not fit: {unfit}", code="value")
    reply = Reply({"name": m.name})
    if state.declared.get(m.name) == declared:
        return [reply]
    return [VariableDeclared(m.name, m.schema, m.merge, m.secret, now, by), reply]


def evolve(state: Variables, event: Any) -> Variables:
    """What an event makes of the variables of a scope."""
    match event:
        case VariableDeclared(name, schema, merge, secret):
            state.declared[name] = Declared(schema, merge, secret)
        case VariableSet(name, value):
            state.values[name] = value
        case VariableRemoved(name):
            state.values.pop(name, None)
        case _:
            pass
    return state


def query(state: Variables, question: ReadVariables) -> Any:
    """The values and what the variables are."""
    names = question.names or list(state.declared)
    return {
        "values": {n: state.values[n] for n in names if n in state.values},
        "declared": {n: msgspec.to_builtins(state.declared[n]) for n in names if n in state.declared},
    }


variables = Kind(
    "variables", state=Variables, decide=decide, evolve=evolve, query=query, questions=[ReadVariables],
    messages=[SetVariable, DeclareVariable, RemoveVariable, ReadVariables], events=CONTEXT_EVENTS,
)  # fmt: skip
