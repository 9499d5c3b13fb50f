"""The gates of a call, in order. Each records its event, also when it had nothing to say; there is no way around one.

A gate returns whether the call may go on to the next. If not, it waits for an answer, or has been ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from actors.agents.messages import ReserveBudget
from actors.approval import RequestApproval, approval_of, digest_of
from actors.core.outputs import Ask, Effect, Tell
from actors.tools.arguments import canonical, fitting, parse
from actors.tools.call.ending import stop
from actors.tools.call.move import Move
from actors.tools.call.performing import begin, performance
from actors.tools.guards import Guard, checked, look, outcome
from actors.tools.labels import BEST, WORST, join
from actors.tools.messages import PREVIEW, CallWaits, CurrentPolicy, EnterTool
from actors.tools.names import tool_address
from actors.tools.policy import DECISIONS, Facts, Policy, Published, judge
from actors.tools.risk import risk_of, role_of
from events.errors import InvalidData
from events.tools import (
    CallAdmitted,
    CallApprovalAsked,
    CallBudgeted,
    CallGuarded,
    CallJudged,
    CallLabelled,
    CallPinned,
    ToolDefinition,
)

POLICY: Final = "policy/default"
"""Whose rules count."""


HELD: Final = 3600.0
"""Seconds that people have for what a guard holds."""


class PolicyAnswer(msgspec.Struct, frozen=True):
    """What a policy says of itself. `rules` are left out for who has them."""

    name: str
    version: int
    hash: str
    rules: Policy | None = None


class ToolAnswer(msgspec.Struct, frozen=True):
    """What a tool says of itself."""

    hash: str
    definition: ToolDefinition


def pin(move: Move) -> bool:
    """Bind the call to the definition, and its arguments to what the definition says of them."""
    answer = msgspec.convert(move.answer, ToolAnswer)
    try:
        arguments = fitting(answer.definition, answer.hash, parse(move.request.arguments))
    except InvalidData as error:
        stop(move, "refused", "pin", error.message, "arguments")
        return False
    arguments = msgspec.json.decode(canonical(arguments))
    digest = digest_of({"tool": answer.definition.name, "hash": answer.hash, "arguments": arguments})
    move.emit(CallPinned(answer.hash, answer.definition, arguments, digest))
    return True


def label(move: Move) -> bool:
    """Say where the value of each argument comes from: what nobody speaks of is worth nothing."""
    request = move.request
    given = parse(request.arguments)
    fallback = request.labels.get("*", WORST)
    labels = {
        # What the definition fills in was agreed to with it.
        name: join(request.labels.get(name, fallback)) if name in given else BEST
        for name in move.pinned.arguments
    }
    move.emit(CallLabelled(labels, join(*labels.values())))
    move.out(Ask(POLICY, CurrentPolicy(), "policy"))
    return False


def guard(move: Move) -> bool:
    """Let guards look at the arguments."""
    text = canonical(move.pinned.arguments)
    verdicts = look("tool-call", text, guards_of(move))
    action = outcome(verdicts)
    move.emit(CallGuarded("tool-call", verdicts, action == "block"))
    if action != "block":
        return True
    why = "; ".join(f"{v.rule}: {v.why}" for v in verdicts if v.action == "block")
    stop(move, "refused", "guard", f"a guard stopped the call: {why}", "blocked")
    return False


def judge_it(move: Move) -> bool:
    """Have the policy decide."""
    judged = _judged(move, published(move.answer))
    judged = msgspec.structs.replace(judged, guards=msgspec.to_builtins(guards_of(move, "tool-result")))
    move.emit(judged)
    if judged.decision == "deny":
        stop(move, "denied", "policy", f"denied: {judged.why}", judged.rule or "denied")
        return False
    if move.request.dry:
        said = "it would be performed" if judged.decision == "allow" else "people would be asked to agree"
        stop(move, "cancelled", "dry", f"a dry run: {said} ({judged.why})", "dry")
        return False
    return True


def _judged(move: Move, policy: Published | None) -> CallJudged:
    if policy is None:
        return CallJudged(POLICY.partition("/")[2], 0, "", "deny", "", "there is no policy")
    return judge(policy, facts(move, move.request.at))


def facts(move: Move, at: int) -> Facts:
    """What the call is judged by, at a time."""
    request = move.request
    return Facts(
        move.pinned.definition, move.pinned.arguments, move.state.labels, request.requesters, move.message.tenant, at,
        request.agent, request.roles,
    )  # fmt: skip


def stricter_now(move: Move) -> str:
    """Why the call would not be let through as it was if it were judged now, by the policy of the answer; or ""."""
    policy, judged = published(move.answer), move.judged
    if policy is None or (policy.version, policy.hash) != (judged.version, judged.hash):
        version = policy.version if policy is not None else "none"
        return f"the policy is version {version} by now, the call was judged by version {judged.version}"
    now = judge(policy, facts(move, move.now))
    if DECISIONS.index(now.decision) > DECISIONS.index(judged.decision):
        return f"by now it is {now.decision}: {now.why}"
    return ""


def approve(move: Move) -> bool:
    """Have people agree, where the policy asks for it or a guard wants somebody to look."""
    judged = move.judged
    if judged.decision == "allow" and not move.state.held:
        return True
    if move.preview is None and move.pinned.definition.via == "function":
        move.out(Effect(PREVIEW, performance(move), "preview"))
        return False
    what = agreement(move)
    digest = digest_of(what)
    approval = approval_of(move.me, "call")
    who = move.request.agent.removeprefix("agent/") or move.request.requesters[0]
    wanted = RequestApproval(
        "call", what, move.me, f"{who}: {move.request.tool}", judged.approvers, judged.quorum,
        judged.expires if judged.decision == "ask" else HELD, _excluded(move),
    )  # fmt: skip
    move.emit(CallApprovalAsked(approval, digest, move.now))
    move.out(Ask(approval, wanted, "approval"))
    if move.request.asker:
        move.out(Tell(move.request.asker, CallWaits(move.request.ref, move.me, approval, digest)))
    return False


def _excluded(move: Move) -> list[str]:
    """Who may not agree: everybody in the chain of who asks, or of those the actors alone."""
    chain = move.request.requesters
    return [one for one in chain if "/" in one] if _self_approval(move) else chain


def _self_approval(move: Move) -> bool:
    """What a guard holds is for somebody else to look at."""
    return move.judged.self_approval and not move.state.held


def agreement(move: Move) -> dict[str, Any]:
    """What people agree to, and nothing else: one changed byte of it is another agreement."""
    definition, arguments, judged = move.pinned.definition, move.pinned.arguments, move.judged
    target = {
        name: value for name, value in arguments.items() if role_of(definition, name) in ("destination", "command")
    }
    preview = {"preview": move.preview} if move.preview else {}
    return {
        "tool": definition.name,
        "definition": move.pinned.hash,
        "risk": risk_of(definition),
        "effect_class": definition.effect_class,
        "arguments": arguments,
        "target": target,
        "policy": {"name": judged.policy, "version": judged.version, "hash": judged.hash},
        "why": judged.why,
        "agent": move.request.agent,
        "requesters": move.request.requesters,
        **({"self_approval": True} if _self_approval(move) else {}),
        **preview,
    }


def budget(move: Move) -> bool:
    """See that there is something left in each budget, one after the other."""
    budgets = move.request.budgets
    number = move.budget
    if number < len(budgets):
        move.out(Ask(budgets[number], ReserveBudget(move.me, "0"), f"budget:{number}"))
        return False
    move.emit(CallBudgeted(budgets, move.now))
    return True


def admit(move: Move) -> bool:
    """Wait for a place."""
    request = move.request
    group = request.conversation or request.agent or request.requesters[0]
    move.out(Ask(tool_address(request.tool), EnterTool(move.me, move.pinned.hash, group), "place"))
    return False


def admitted(move: Move) -> bool:
    """The place is there."""
    waited = max(0.0, (move.now - move.state.budgeted_at) / 1_000_000)
    move.emit(CallAdmitted(move.now, waited))
    return True


def perform(move: Move) -> bool:
    """Begin, at the level of the sandbox that is needed."""
    begin(move)
    return False


Gate = Callable[[Move], bool]

GATES: Final[tuple[Gate, ...]] = (pin, label, guard, judge_it, approve, budget, admit, admitted, perform)
"""In this order. `actors.tools.call.call` lets a call through from where it waited."""


def through(move: Move, first: Gate) -> None:
    """Let the call through this gate and all behind it, until one keeps it."""
    for gate in GATES[GATES.index(first) :]:
        if not gate(move):
            return
        move.answer = move.answer if gate is guard else None


def published(answer: Any) -> Published | None:
    """The policy of an answer; None when there is none."""
    if answer is None:
        return None
    said = msgspec.convert(answer, PolicyAnswer)
    assert said.rules is not None
    return Published(said.rules, said.version, said.hash)


def guards_of(move: Move, edge: str = "") -> list[Guard]:
    """The guards of the policy and of whoever asked; at one edge only, if it is named."""
    policy = published(move.answer)
    found = checked([*(policy.policy.guards if policy is not None else []), *move.request.guards])
    return [one for one in found if not edge or not one.edges or edge in one.edges]
