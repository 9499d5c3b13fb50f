"""From a file to a definition: everything checked, tools and models resolved to those that are there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, cast

import msgspec

from actors.agents.definition.document import AgentDocument
from actors.agents.definition.instructions import flaws
from actors.agents.definition.model import LATER, SCOPES, AgentModel, VariableModel
from actors.agents.definition.plan import (
    EDGES,
    AgentDefinition,
    Budgets,
    GuardRule,
    Limits,
    Variable,
    hash_of,
)
from actors.workflows.definition.document import token
from actors.workflows.definition.problems import DefinitionInvalid, Problem, nearest
from actors.workflows.definition.schemas import checked_schema
from actors.workflows.definition.shape import follows, shaped
from actors.workflows.definition.variables import variable
from events.models import ToolSpec

INSTRUCTIONS: Final = 100_000
"""Characters of instructions."""
TOOLS: Final = 128
"""Tools of one agent: more, and models choose badly."""

SCRIPTED: Final = "scripted"
"""The provider whose answers are no model's."""


class Known(msgspec.Struct, frozen=True):
    """What there is to name. None: names are taken as they are.

    `providers` are those that are here, `spelled` those that may be elsewhere, `rates` dollars per million tokens
    (input, output) of a model, None when nobody knows.
    """

    tools: Mapping[str, ToolSpec] | None = None
    providers: Collection[str] | None = None
    spelled: Collection[str] = ()
    guards: Collection[str] | None = None
    agents: Collection[str] | None = None
    roles: Mapping[str, Mapping[str, str]] = {}
    """What the arguments of tools decide, by tool."""
    rates: Callable[[str], tuple[str, str] | None] | None = None


class CompiledAgent(msgspec.Struct, frozen=True):
    """A definition that is right, what names its content, and the model for what else the file says."""

    definition: AgentDefinition
    hash: str
    model: AgentModel


class _Check:
    """The checks of one file: what is wrong gathers here."""

    def __init__(self, document: AgentDocument, known: Known) -> None:
        self.document = document
        self.known = known
        self.problems: list[Problem] = []

    def problem(self, pointer: str, message: str, hint: str = "") -> None:
        """Something is wrong there."""
        self.problems.append(self.document.front.problem(pointer, message, hint))

    def models(self, model: AgentModel) -> list[str]:
        """Those whose provider is here, in order."""
        written = [(f"/model/{n}", m) for n, m in enumerate(model.model)]
        written += [(f"/fallbacks/{n}", m) for n, m in enumerate(model.fallbacks)]
        if not model.model:
            self.problem("/model", "'model' is missing", "as model: mistral:mistral-small-latest")
        providers = self.known.providers
        found: list[str] = []
        for at, reference in written:
            provider = reference.partition(":")[0]
            if reference in found:
                self.problem(at, f"{reference} is there twice")
            elif providers is None or provider in providers:
                found.append(reference)
            elif provider not in self.known.spelled:
                self.problem(
                    at,
                    f"no provider of models is called {provider!r}",
                    nearest(provider, [*providers, *self.known.spelled]),
                )
        if written and not found and not self.problems:
            here = ", ".join(sorted(providers or ())) or "none"
            self.problem(
                "/model", "none of these models is available here", f"providers that are: {here}; is a key set?"
            )
        return found

    def tools(self, model: AgentModel) -> list[ToolSpec]:
        """What names and patterns come to, by name."""
        known = self.known.tools
        if known is None:
            return [ToolSpec(name, "", {}) for name in sorted(set(model.tools)) if not _is_pattern(name)]
        found: dict[str, ToolSpec] = {}
        for n, name in enumerate(model.tools):
            matching = [t for t in known if fnmatchcase(t, name)] if _is_pattern(name) else [name] * (name in known)
            if not matching:
                what = "no tool fits" if _is_pattern(name) else "there is no tool"
                self.problem(f"/tools/{n}", f"{what} {name!r}", nearest(name, known))
            found |= {tool: known[tool] for tool in matching}
        found |= {tool: known[tool] for name in model.agents if (tool := f"agent.{name}") in known}
        if len(found) > TOOLS:
            self.problem("/tools", f"{len(found)} tools, {TOOLS} are allowed")
        return [found[name] for name in sorted(found)]

    def guards(self, model: AgentModel) -> dict[str, list[GuardRule]]:
        """Rules by edge."""
        found: dict[str, list[GuardRule]] = {}
        for edge in EDGES:
            rules = getattr(model.guardrails, edge.replace("-", "_"))
            for n, rule in enumerate(rules):
                if self.known.guards is not None and rule.rule not in self.known.guards:
                    at = f"/guardrails/{edge}/{n}/rule"
                    self.problem(at, f"there is no guard {rule.rule!r}", nearest(rule.rule, self.known.guards))
            if rules:
                found[edge] = [GuardRule(rule.rule, rule.mode, rule.options) for rule in rules]
        return found

    def agents(self, model: AgentModel) -> list[str]:
        """The agents it may call."""
        for n, name in enumerate(model.agents):
            if name == model.name:
                self.problem(f"/agents/{n}", "an agent does not call itself")
            elif self.known.agents is not None and name not in self.known.agents:
                self.problem(f"/agents/{n}", f"there is no agent {name!r}", nearest(name, self.known.agents))
        return list(dict.fromkeys(model.agents))

    def variables(self, model: AgentModel) -> dict[str, Variable]:
        """The context variables, with types."""
        found: dict[str, Variable] = {}
        for name, written in model.variables.items():
            if name in SCOPES:
                self.problem(f"/variables/{token(name)}", f"{name} is a scope, and no name of a variable")
            made = variable(self, name, written)
            if made is not None:
                found[name] = Variable(made.schema, made.default, made.secret, made.merge)
        return found

    def instructions(self, variables: Mapping[str, VariableModel]) -> str:
        """The text below the front matter; leading and trailing empty lines do not count."""
        body = self.document.body
        if not body.strip():
            self._below(
                self.document.line, 1, "instructions are missing", "write below the front matter what it is to do"
            )
        if len(body) > INSTRUCTIONS:
            self._below(self.document.line, 1, f"{len(body)} characters of instructions, {INSTRUCTIONS} are allowed")
            return ""
        hidden = [name for name, v in variables.items() if v.secret]
        visible = [name for name in variables if name not in hidden]
        unset = [n for n in visible if "default" not in variables[n].model_fields_set]
        for flaw in flaws(body, visible, unset, hidden):
            self._below(self.document.line + flaw.line - 1, flaw.column, flaw.message, flaw.hint)
        return body.strip("\r\n") + "\n"

    def _below(self, line: int, column: int, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.document.front.file, line, column, "/instructions", message, hint))


def compile_agent(document: AgentDocument, known: Known | None = None) -> CompiledAgent:
    """Check a file and make its definition. The hash does not depend on the order in which maps are written.

    Raises DefinitionInvalid with all that is wrong.
    """
    known = known or Known()
    value = document.front.value
    if not isinstance(value, dict):
        raise DefinitionInvalid([document.front.problem("", "front matter is a map of name, model, tools, …")])
    model, formal = shaped(document.front, cast("dict[str, Any]", value), AgentModel, LATER)
    if model is None:
        raise DefinitionInvalid(formal)
    check = _Check(document, known)
    if "output" in model.model_fields_set:
        checked_schema(check, "/output", model.output)
    definition = _definition(check, model)
    problems = [*formal, *(p for p in check.problems if not follows(p, formal))]
    if problems:
        raise DefinitionInvalid(problems)
    return CompiledAgent(definition, hash_of(definition), model)


def _definition(check: _Check, model: AgentModel) -> AgentDefinition:
    models = check.models(model)
    variables = check.variables(model)
    return AgentDefinition(
        name=model.name,
        description=model.description,
        instructions=check.instructions(model.variables),
        models=models,
        temperature=model.temperature,
        top_p=model.top_p,
        max_tokens=model.max_tokens,
        tools=list(dict.fromkeys(model.tools)),
        tool_specs=(specs := check.tools(model)),
        tool_roles={s.name: dict(roles) for s in specs if (roles := check.known.roles.get(s.name))},
        guards=check.guards(model),
        limits=_limits(model),
        output_schema=_output(model),
        double_texting=model.double_texting,
        visible=sorted(name for name, v in variables.items() if not v.secret),
        roles=sorted(set(model.roles)),
        budgets=_budgets(model),
        scripted=bool(models) and all(m.partition(":")[0] == SCRIPTED for m in models),
        summary=model.summary.by,
        estimate=model.estimate,
        rates=_rates(models, check.known),
        stream=model.stream,
        files=list(dict.fromkeys(model.files)),
        agents=check.agents(model),
        variables=variables,
        metadata=model.metadata,
    )


def _limits(model: AgentModel) -> Limits:
    written = model.limits
    sections = {name: tokens for name, tokens in written.sections if tokens is not None}
    return Limits(
        written.steps, written.tool_calls, written.timeout, written.stuck_after, written.waiting, written.at_once,
        written.reasks, written.context, sections, model.summary.above, written.queue, written.stuck_turns,
    )  # fmt: skip


def _budgets(model: AgentModel) -> Budgets:
    given = {scope: budget for scope, budget in model.budgets if budget is not None}
    periods = {scope: budget.period for scope, budget in given.items() if budget.period != "total"}
    return Budgets(**{scope: budget.usd for scope, budget in given.items()}, periods=periods)


def _output(model: AgentModel) -> dict[str, Any] | None:
    if isinstance(model.output, str):
        return {"type": model.output}
    output: Any = model.output
    return cast("dict[str, Any]", output) if isinstance(output, dict) else None


def _rates(models: list[str], known: Known) -> dict[str, tuple[str, str]]:
    if known.rates is None:
        return {}
    rates = {model: known.rates(model) for model in models}
    return {model: rate for model, rate in rates.items() if rate is not None}


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name
