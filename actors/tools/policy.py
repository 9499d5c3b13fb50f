"""The rules about tools: who may use what, on whose word, and when people have to agree. Purely judged.

**The strictest wins.** Every rule that applies counts: one that denies stops the call, one that asks has people asked,
and it is allowed only when all that apply allow it. So the order of rules means nothing, and no rule can undo another's
no. A call to which none applies, or whose tool was granted to nobody who asks, is denied.
"""

from __future__ import annotations

from typing import Any

from actors.tools.policy_conditions import asker, granted, unmet
from actors.tools.policy_rules import (
    DECISIONS,
    Explained,
    Facts,
    Grant,
    Policy,
    Published,
    Rule,
    When,
    Window,
    decode_policy,
    encode_policy,
    hash_of,
)
from actors.tools.risk import risk_of, stronger
from events.tools import CallJudged, ToolDefinition

__all__ = [
    "DECISIONS",
    "Explained",
    "Facts",
    "Grant",
    "Policy",
    "Published",
    "Rule",
    "When",
    "Window",
    "decode_policy",
    "encode_policy",
    "explain",
    "granted",
    "hash_of",
    "judge",
    "sandbox_of",
]


def judge(published: Published, facts: Facts) -> CallJudged:
    """What a policy says of a call."""
    policy = published.policy
    level = sandbox_of(policy, facts.definition)

    def judged(decision: str, rule: str, why: str, **more: Any) -> CallJudged:
        return CallJudged(
            policy.name, published.version, published.hash, decision, rule, why, sandbox=level, **more
        )  # fmt: skip

    if not granted(policy, facts):
        return judged("deny", "", f"{facts.definition.name} is not granted to {asker(facts)}")
    if level and not facts.definition.sandbox and facts.definition.via == "function":
        return judged("deny", "", f"{risk_of(facts.definition)} needs the sandbox level {level}; the tool has none")
    found = [rule for rule in policy.rules if not unmet(policy, rule, facts)]
    if not found:
        return judged("deny", "", f"no rule allows {risk_of(facts.definition)} by {facts.definition.name}")
    rule = max(found, key=_strictness)
    why = rule.why or f"rule {rule.id}"
    if rule.decision == "ask":
        # Who has a tool called without an agent is the one who wants it, and cannot also be the one who agrees.
        alone = rule.self_approval and bool(facts.agent)
        return judged(
            "ask", rule.id, why, approvers=rule.approvers, quorum=rule.quorum, expires=rule.expires, self_approval=alone
        )  # fmt: skip
    return judged(rule.decision, rule.id, why)


def _strictness(rule: Rule) -> tuple[int, int, bool, float, float]:
    """Of several that ask: the most people, then others than who asked, then those who are named (the fewer the
    stricter), then the least time."""
    named = 1 / len(rule.approvers) if rule.approvers else 0.0
    return DECISIONS.index(rule.decision), rule.quorum, not rule.self_approval, named, -(rule.expires or 1e12)


def explain(policy: Policy, facts: Facts) -> list[Explained]:
    """Every rule, in the order it is written, with what keeps it from applying."""
    found = [(rule, unmet(policy, rule, facts)) for rule in policy.rules]
    return [Explained(rule.id, rule.decision, not missing, missing) for rule, missing in found]


def sandbox_of(policy: Policy, definition: ToolDefinition) -> str:
    """The level of the sandbox that the policy or the tool needs, whichever is stronger."""
    return stronger(policy.sandbox.get(risk_of(definition), ""), definition.sandbox)
