"""What another policy would have said of the calls there were: the facts from the log, judged again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from actors.tools.policy import Facts, Published, judge
from events.tools import CallJudged, CallLabelled, CallPinned, CallRequested

READS = (CallRequested, CallPinned, CallLabelled, CallJudged)
"""The events that calls are judged again by."""


class Recorded(msgspec.Struct):
    """A call as far as its events have been seen."""

    tenant: str = "default"
    requested: CallRequested | None = None
    pinned: CallPinned | None = None
    labelled: CallLabelled | None = None
    judged: CallJudged | None = None


class Difference(msgspec.Struct, frozen=True):
    """A call that would have gone otherwise."""

    call: str
    tool: str
    agent: str
    before: str
    after: str
    rule: str
    why: str
    at: int


class DryRun(msgspec.Struct):
    """How many calls were looked at, how many would go as they went, and those that would not."""

    judged: int = 0
    same: int = 0
    differences: list[Difference] = []


def recorded(events: Iterable[tuple[str, str, Any]]) -> dict[str, Recorded]:
    """Calls from events as (tenant, stream, struct), in any order."""
    calls: dict[str, Recorded] = {}
    for tenant, stream, event in events:
        call = calls.setdefault(f"{tenant} {stream}", Recorded(tenant))
        match event:
            case CallRequested():
                call.requested = event
            case CallPinned():
                call.pinned = event
            case CallLabelled():
                call.labelled = event
            case CallJudged():
                call.judged = event
            case _:
                pass
    return calls


def facts_of(call: Recorded) -> Facts | None:
    """What a call was judged by; None when it did not come so far."""
    if call.requested is None or call.pinned is None or call.labelled is None:
        return None
    asked = call.requested
    return Facts(
        call.pinned.definition, call.pinned.arguments, call.labelled.labels, asked.requesters, call.tenant, asked.at,
        asked.agent, asked.roles,
    )  # fmt: skip


def dry_run(policy: Published, events: Iterable[tuple[str, str, Any]]) -> DryRun:
    """Judge every recorded call by this policy. Nothing happens."""
    done = DryRun(differences=[])
    for name, call in recorded(events).items():
        facts = facts_of(call)
        if facts is None or call.judged is None or call.requested is None:
            continue
        done.judged += 1
        now = judge(policy, facts)
        before, after = _said(call.judged), _said(now)
        if before == after:
            done.same += 1
            continue
        stream = name.partition(" ")[2]
        asked = call.requested
        done.differences.append(
            Difference(stream, asked.tool, asked.agent, before, after, now.rule, now.why, asked.at)
        )  # fmt: skip
    return done


def _said(judged: CallJudged) -> str:
    """A decision in a word; of one that asks, how many have to agree and who may."""
    if judged.decision != "ask":
        return judged.decision
    who = ", ".join(sorted(judged.approvers))
    return f"ask {judged.quorum}{f' of {who}' if who else ''}"
