"""Policies as files: YAML, its shape as pydantic models, and everything that is wrong with one at once."""

# ruff: noqa: RUF012 - pydantic copies defaults; that Model is one of its classes is not seen from here

from __future__ import annotations

import re
from collections import Counter
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Final, Literal, cast

from pydantic import AfterValidator, Field, WithJsonSchema

from actors import cron
from actors.tools.guards import DETECTORS
from actors.tools.policy_conditions import minutes
from actors.tools.policy_rules import Grant, Policy, Rule, When, Window
from actors.workflows.definition.document import Document, read
from actors.workflows.definition.fields import Duration, Many, Texts
from actors.workflows.definition.parts import Model
from actors.workflows.definition.problems import DefinitionInvalid, Problem, nearest
from actors.workflows.definition.schema import schema_of
from actors.workflows.definition.shape import shaped

Risk = Literal["read-local", "read-network", "write-reversible", "write-external", "privileged"]
Role = Literal["destination", "command", "body", "data"]
Level = Literal["", "landlock", "mounts", "namespaces", "bubblewrap"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Edge = Literal["tool-call", "tool-result"]


def _time(value: str) -> str:
    try:
        minutes(value)
    except ValueError:
        raise ValueError(f"{value[:20]!r} is no time of day; write 08:00, or 24:00 for its end") from None
    return value


def _zone(value: str) -> str:
    try:
        cron.zone_of(value)
    except cron.CronError as error:
        raise ValueError(f"{error.message}; write an IANA name, such as Europe/Berlin") from None
    return value


def _expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value[:40]!r} is no regular expression: {error}") from None
    return value


Time = Annotated[str, AfterValidator(_time), WithJsonSchema({"type": "string", "pattern": r"^\d{1,2}:\d{2}$"})]
Expression = Annotated[
    str, Field(max_length=500), AfterValidator(_expression), WithJsonSchema({"type": "string", "format": "regex"})
]


class WindowModel(Model):
    """When: from `begin` to before `end`, over midnight when the end is not later."""

    begin: Time = "00:00"
    """Of the day, as 08:00."""
    end: Time = "24:00"
    """Of the day, as 18:00."""
    days: Annotated[list[Day], Many()] = []
    """mon … sun; empty: every day."""
    zone: Annotated[str, AfterValidator(_zone), WithJsonSchema({"type": "string"})] = "UTC"
    """Whose clock counts."""


class WhenModel(Model):
    """All of these must hold; what is left out holds always."""

    tools: Texts = []
    """Names of tools, or patterns as `files.*`."""
    risk: Annotated[list[Risk], Many()] = []
    """Tiers of risk."""
    effects: Annotated[list[Literal["pure", "idempotent", "keyed", "irreversible"]], Many()] = []
    """Effect classes."""
    via: Annotated[list[Literal["function", "mcp", "workflow", "agent"]], Many()] = []
    """Who performs it."""
    agents: Texts = []
    """Agents, by name or pattern; `-` is a person's own call."""
    roles: Texts = []
    """Roles of the agent: one of them, as `roles` gives them; a rule that denies counts those of its file too."""
    tenants: Texts = []
    """Tenants."""
    requesters: Texts = []
    """Somebody in the chain of those who ask, as `ada` or `agent/*`."""
    trusted: Annotated[list[Role], Many()] = []
    """Every argument that decides this comes from somebody trusted."""
    untrusted: Annotated[list[Role], Many()] = []
    """At least one argument that decides this does not."""
    carries: Literal["", "private", "secret"] = ""
    """An argument is at least that secret."""
    arguments: dict[str, Expression] = {}
    """Regular expressions for whole values, by the name of the argument."""
    during: WindowModel | None = None
    """Times."""


class RuleModel(Model):
    """A rule. Of all that apply the strictest wins: deny, ask, allow."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    """What events and explanations call it."""
    decision: Literal["allow", "ask", "deny"]
    """What becomes of a call to which it applies."""
    when: WhenModel = WhenModel()
    """To which calls it applies."""
    why: str = Field(default="", max_length=500)
    """What is said to who asks."""
    approvers: Texts = []
    """Who may agree; empty: anybody but those who ask."""
    quorum: int = Field(default=1, ge=1, le=100)
    """How many have to agree."""
    expires: Duration = 3600.0
    """How long people have for it."""
    self_approval: bool = False
    """Whether a person who asked an agent may agree to what the agent wants to do for it."""


class GrantModel(Model):
    """Tools that may be used at all. Short: a pattern, for everybody."""

    short: ClassVar[str] = "tools"
    tools: Annotated[list[str], Many(), Field(min_length=1)]
    """Names of tools, or patterns."""
    agents: Texts = []
    """By these agents; empty: by all, and by people (`-`)."""
    roles: Texts = []
    """In one of these roles, which `roles` gives to agents."""
    tenants: Texts = []
    """In these tenants."""


class GuardModel(Model):
    """A family of rules that looks at what goes into tools and comes out of them. Short: its name."""

    short: ClassVar[str] = "name"
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    """Which family."""
    mode: Literal["observe", "redact", "hold", "block"] = "observe"
    """What a finding leads to; a call that is held waits for people."""
    edges: Annotated[list[Edge], Many()] = []
    """Where it looks; empty: at both."""
    rules: Texts = []
    """Rules of the family that are left out."""
    least: float = Field(default=0.5, ge=0.0, le=1.0)
    """The score from which a finding counts."""
    canaries: Texts = []
    """Texts that must never be seen again."""
    hosts: Texts = []
    """Hosts that links may lead to."""


class PolicyModel(Model):
    """Rules about tools."""

    name: str = Field(default="default", pattern=r"^[a-z][a-z0-9-]{0,63}$")
    """What it is called; calls are judged by `default`."""
    description: str = ""
    """What it is for."""
    grants: list[GrantModel] = []
    """What may be used at all; without a grant, nothing may."""
    rules: list[RuleModel] = []
    """What is allowed, asked about, denied; what no rule allows is denied."""
    sandbox: dict[Risk, Level] = {}
    """The level of the sandbox that a tier of risk needs."""
    guards: list[GuardModel] = []
    """Who looks at arguments and results."""
    roles: dict[str, list[str]] = {}
    """Which agents have a role, by name or pattern; what an agent's own file names gives it nothing."""


EXAMPLE: Final[dict[str, Any]] = {
    "name": "default",
    "grants": [{"tools": ["files.*"], "agents": ["librarian"]}],
    "rules": [
        {"id": "reading", "decision": "allow", "when": {"risk": "read-local"}},
        {"id": "writing", "decision": "ask", "when": {"risk": "write-reversible"}, "expires": "1h"},
    ],
}


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a policy file, for editors: with all that may be written short."""
    schema = schema_of(PolicyModel)
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Thespis policy"}
    return {**title, **schema, "examples": [EXAMPLE]}


def read_policy(text: str | bytes, file: str = "policy.yaml") -> Policy:
    """A policy from its text. Raises DefinitionInvalid with all that is wrong, each with its place."""
    document = read(text, file)
    value: Any = document.value
    if not isinstance(value, dict):
        raise DefinitionInvalid([document.problem("", "a policy is a map of name, grants, rules, …")])
    model, problems = shaped(document, cast("dict[str, Any]", value), PolicyModel, {})
    if model is not None:
        # Where the form is wrong, parts were left out: the places of the others are not those of the text any more.
        broken = {"/".join(problem.pointer.split("/")[:2]) for problem in problems}
        problems += [p for p in _beyond_form(document, model) if "/".join(p.pointer.split("/")[:2]) not in broken]
    if model is None or problems:
        raise DefinitionInvalid(problems)
    return _policy(model)


def _beyond_form(document: Document, model: PolicyModel) -> list[Problem]:
    """What is wrong although each part is well formed."""
    problems: list[Problem] = []
    times = Counter(rule.id for rule in model.rules)
    for n, rule in enumerate(model.rules):
        at = f"/rules/{n}"
        if times[rule.id] > 1:
            problems.append(document.problem(f"{at}/id", f"more than one rule is called {rule.id}"))
        if rule.decision != "ask":
            problems += [
                document.problem(f"{at}/{name}", f"{name} means nothing in a rule that does not ask", key=True)
                for name in ("approvers", "quorum", "expires", "self_approval")
                if name in rule.model_fields_set
            ]
        elif rule.approvers and len(set(rule.approvers)) < rule.quorum:
            few = f"a quorum of {rule.quorum} cannot be reached by {len(set(rule.approvers))} approvers"
            problems.append(document.problem(f"{at}/quorum", few))
    problems += _unbound(document, model)
    for n, guard in enumerate(model.guards):
        if guard.name not in DETECTORS:
            hint = nearest(guard.name, DETECTORS)
            problems.append(document.problem(f"/guards/{n}", f"there is no guard {guard.name!r}", hint))
    return problems


def _unbound(document: Document, model: PolicyModel) -> list[Problem]:
    """Roles that let something happen and that nobody has."""
    named = [(f"/grants/{n}/roles", grant.roles) for n, grant in enumerate(model.grants)]
    named += [(f"/rules/{n}/when/roles", r.when.roles) for n, r in enumerate(model.rules) if r.decision != "deny"]
    return [
        document.problem(at, f"no agent has the role {role!r}", f"give it to some: roles: {{{role}: [AGENT]}}")
        for at, roles in named
        for role in roles
        if not any(fnmatchcase(known, role) for known in model.roles)
    ]


def _policy(model: PolicyModel) -> Policy:
    return Policy(
        model.name, [_rule(rule) for rule in model.rules],
        [Grant(g.tools, g.agents, g.roles, g.tenants) for g in model.grants],
        {str(tier): str(level) for tier, level in model.sandbox.items()},
        [guard.model_dump(mode="json", exclude_defaults=True) for guard in model.guards], model.description,
        model.roles,
    )  # fmt: skip


def _rule(model: RuleModel) -> Rule:
    written = model.when
    during = written.during
    window = None if during is None else Window(during.begin, during.end, list(during.days), during.zone)
    when = When(
        written.tools, list(written.risk), list(written.effects), list(written.via), written.agents, written.roles,
        written.tenants, written.requesters, list(written.trusted), list(written.untrusted), written.carries,
        written.arguments, window,
    )  # fmt: skip
    return Rule(
        model.id, model.decision, when, model.why, model.approvers, model.quorum, model.expires, model.self_approval
    )  # fmt: skip
