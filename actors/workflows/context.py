"""Context variables of a run: declared by its definition, set at its start, by people and by its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from actors.agents.messages import DeclareVariable, ReadVariables, RemoveVariable, SetVariable
from actors.agents.variables import Declared, problem_of
from actors.agents.variables import decide as decide_variables
from actors.core.outputs import Reply
from actors.workflows.engine.turn import Turn
from actors.workflows.plan import Plan
from events.agents import VariableDeclared, VariableSet
from events.errors import Refused


def unfit(plan: Plan, given: Mapping[str, Any]) -> list[str]:
    """What is wrong with variables that are given at the start of a run."""
    found: list[str] = []
    for name, value in given.items():
        made = plan.variables.get(name)
        if made is None:
            known = ", ".join(plan.variables) or "none"
            found.append(f"variables.{name}: {plan.name} declares no such variable; it declares {known}")
        elif problem := problem_of(Declared(made.schema, made.merge, made.secret), value):
            found.append(f"variables.{name}: {problem}")
    return found


def begin(turn: Turn, plan: Plan, given: Mapping[str, Any], by: str) -> None:
    """The variables a run begins with."""
    for name, made in plan.variables.items():
        turn.emit(VariableDeclared(name, made.schema, made.merge, made.secret, turn.now, by))
        value = given.get(name, made.default)
        if value is not msgspec.UNSET:
            turn.emit(VariableSet(name, value, None, turn.now, by))


def variable(turn: Turn, message: SetVariable | DeclareVariable | RemoveVariable | ReadVariables) -> None:
    """They follow the rules of all others. Once the run has ended they are only read."""
    if turn.run.status == "new":
        raise Refused("there is no such run", code="not-found")
    if turn.variables_of:
        raise Refused(f"its variables are those of {turn.variables_of}", code="part")
    if turn.run.status != "running" and not isinstance(message, ReadVariables):
        raise Refused(f"the run is {turn.run.status}", code="not-running")
    for output in decide_variables(turn.run.variables, turn.message):
        if isinstance(output, Reply):
            turn.out(output)
        else:
            turn.emit(output)
