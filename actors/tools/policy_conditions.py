"""Whether the conditions of a rule hold for a call, and in words which do not."""

from __future__ import annotations

import re
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, cast

import msgspec

from actors import cron
from actors.tools.guards import checked as guards_checked
from actors.tools.labels import SECRECY, WORST, at_least, is_trusted
from actors.tools.policy_rules import DAYS, DECISIONS, Facts, Policy, Rule, When, Window
from actors.tools.risk import risk_of, role_of, stronger
from events.errors import BadDefinition

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def flaw(policy: Policy) -> str:
    """What is wrong with a policy that fits its type; "" when nothing is."""
    try:
        guards_checked(policy.guards)
        for level in policy.sandbox.values():
            stronger(level)
        for rule in policy.rules:
            if rule.decision not in DECISIONS or rule.when.carries not in ("", *SECRECY) or rule.quorum < 1:
                return f"rule {rule.id}: what it says is not known"
            for pattern in rule.when.arguments.values():
                _pattern(pattern)
            if rule.when.during is not None:
                within(rule.when.during, 0)
    except (BadDefinition, cron.CronError, ValueError, re.error) as error:
        return str(error)
    ids = [rule.id for rule in policy.rules]
    return "two rules have one id" if len(set(ids)) < len(ids) else ""


def granted(policy: Policy, facts: Facts) -> bool:
    """Whether the tool was granted to who asks."""
    name = facts.definition.name
    return any(
        _any(name, grant.tools)
        and _one(agent_of(facts), grant.agents)
        and _many(roles_of(policy, facts), grant.roles)
        and _one(facts.tenant, grant.tenants)
        for grant in policy.grants
    )


def roles_of(policy: Policy, facts: Facts) -> list[str]:
    """The roles that the policy gives to who calls. What an agent's own file names is no role of its: whoever publishes
    an agent would decide what it may do."""
    return [role for role, agents in policy.roles.items() if _any(agent_of(facts), agents)]


def unmet(policy: Policy, rule: Rule, facts: Facts) -> list[str]:
    """The conditions of a rule that do not hold, in words. Roles that an agent's file names count for what denies."""
    when, definition = rule.when, facts.definition
    given = roles_of(policy, facts)
    roles = list(dict.fromkeys([*given, *facts.roles])) if rule.decision == "deny" else given
    risk = risk_of(definition)
    people = [name.removeprefix("user:") for name in facts.requesters]
    checks = (
        (_one(definition.name, when.tools), f"the tool is {definition.name}"),
        (_one(risk, when.risk), f"the risk is {risk}"),
        (_one(definition.effect_class, when.effects), f"the effect class is {definition.effect_class}"),
        (_one(definition.via, when.via), f"it is performed via {definition.via}"),
        (_one(agent_of(facts), when.agents), f"the agent is {agent_of(facts)}"),
        (_many(roles, when.roles), f"the roles are {', '.join(roles) or 'none'}"),
        (_one(facts.tenant, when.tenants), f"the tenant is {facts.tenant}"),
        (_many([*people, *facts.requesters], when.requesters), f"those who ask are {', '.join(facts.requesters)}"),
    )
    missing = [
        f"{said}, not {_or(wanted)}" for (holds, said), wanted in zip(checks, _wanted(when), strict=True) if not holds
    ]
    return [*missing, *_unmet_labels(when, facts), *_unmet_values(rule, facts), *_unmet_time(when, facts)]


def _wanted(when: When) -> tuple[list[str], ...]:
    return (
        when.tools, when.risk, when.effects, when.via, when.agents, when.roles, when.tenants, when.requesters,
    )  # fmt: skip


def _unmet_labels(when: When, facts: Facts) -> list[str]:
    missing: list[str] = []
    named = [name for name in facts.arguments if role_of(facts.definition, name) in when.trusted]
    doubtful = [name for name in named if not is_trusted(_label(facts, name))]
    if doubtful:
        missing.append(f"{', '.join(doubtful)} comes from somewhere untrusted")
    if when.untrusted and not any(
        role_of(facts.definition, name) in when.untrusted and not is_trusted(_label(facts, name))
        for name in facts.arguments
    ):
        missing.append(f"no {_or(when.untrusted)} is untrusted")
    if when.carries and not any(at_least(_label(facts, name), when.carries) for name in facts.arguments):
        missing.append(f"no argument is {when.carries}")
    return missing


def _label(facts: Facts, name: str) -> str:
    return facts.labels.get(name, WORST)


def _unmet_values(rule: Rule, facts: Facts) -> list[str]:
    missing: list[str] = []
    for name, pattern in rule.when.arguments.items():
        if name not in facts.arguments:
            missing.append(f"there is no argument {name}")
            continue
        fits = [bool(_pattern(pattern).fullmatch(text)) for text in texts_in(facts.arguments[name])]
        if not fits or not (all(fits) if rule.decision == "allow" else any(fits)):
            missing.append(f"{name} does not match {pattern}")
    return missing


def texts_in(value: Any) -> list[str]:
    """Every value in a value as text: texts as they are, the rest as JSON."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return [text for key, inner in named.items() for text in [key, *texts_in(inner)]]
    if isinstance(value, list):
        return [text for inner in cast("list[Any]", value) for text in texts_in(inner)]
    return [_encode(value).decode()]


def _unmet_time(when: When, facts: Facts) -> list[str]:
    window = when.during
    if window is None or within(window, facts.at):
        return []
    return [f"it is not between {window.begin} and {window.end} {window.zone}{' on ' if window.days else ''}"
            f"{', '.join(window.days)}"]  # fmt: skip


def within(window: Window, at: int) -> bool:
    """Whether a time (µs) lies in a window. After midnight it is still the day on which the window began."""
    local = datetime.fromtimestamp(at / 1_000_000, cron.zone_of(window.zone))
    minute = local.hour * 60 + local.minute
    begin, end = minutes(window.begin), minutes(window.end)
    day = local.weekday()
    if begin < end:
        inside = begin <= minute < end
    else:
        inside = minute >= begin or minute < end
        day = (day - (minute < end)) % 7
    return inside and (not window.days or DAYS[day] in window.days)


def minutes(text: str) -> int:
    """Minutes since midnight of `HH:MM`. Raises ValueError."""
    hours, colon, rest = text.partition(":")
    total = int(hours) * 60 + int(rest)
    if not colon or len(rest) != 2 or int(rest) > 59 or not 0 <= total <= 1440:
        raise ValueError(f"{text!r} is no time of day")
    return total


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)


def agent_of(facts: Facts) -> str:
    """How rules name who calls: the agent, or `-` for a person's own call."""
    return facts.agent.removeprefix("agent/") or "-"


def asker(facts: Facts) -> str:
    """Who calls, in words."""
    return f"the agent {agent_of(facts)}" if facts.agent else (facts.requesters or ["nobody"])[0]


def _any(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _one(name: str, patterns: list[str]) -> bool:
    return not patterns or _any(name, patterns)


def _many(names: list[str], patterns: list[str]) -> bool:
    return not patterns or any(_any(name, patterns) for name in names)


def _or(names: list[str]) -> str:
    return " or ".join(names)
