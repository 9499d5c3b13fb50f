"""The actor kind `policy` (`policy/<name>`): the versions of the rules about tools. Calls are judged by the newest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from actors.core.kind import Kind
from actors.core.outputs import Reply
from actors.tools.messages import CurrentPolicy, DescribePolicy, PublishPolicy
from actors.tools.policy_conditions import flaw
from actors.tools.policy_rules import decode_policy, encode_policy, hash_of
from events.address import own_name
from events.envelope import Message
from events.errors import InvalidData, Refused
from events.tools import POLICY_EVENTS, PolicyPublished

KEPT: Final = 20
"""Versions that can be described; the log has them all."""


class PolicyVersion(msgspec.Struct, frozen=True):
    """One version, as it was published."""

    hash: str
    rules: msgspec.Raw
    source: str
    at: int
    by: str = ""


class PolicyState(msgspec.Struct, omit_defaults=True):
    """`versions` by number, the newest last."""

    newest: int = 0
    versions: dict[str, PolicyVersion] = {}


def decide(state: PolicyState, message: Message) -> list[Any]:
    """What a policy makes of a message."""
    return _DECISIONS[message.data.__class__](state, message.data, message)


def _publish(state: PolicyState, m: PublishPolicy, message: Message) -> list[Any]:
    try:
        policy = decode_policy(bytes(m.rules))
    except InvalidData as error:
        raise Refused(error.message, code="policy") from None
    if problem := flaw(policy):
        raise Refused(f"this is no policy: {problem}", code="policy")
    name = message.to.partition("/")[2]
    if policy.name != name:
        raise Refused(f"the policy is called {policy.name!r}, not {name!r}", code="name")
    hash = hash_of(policy)
    if m.hash and m.hash != hash:
        raise Refused("the hash is not that of the rules", code="hash")
    newest = state.versions.get(str(state.newest))
    if newest is not None and newest.hash == hash:
        return [Reply({"name": name, "version": state.newest, "hash": hash, "published": False})]
    number = state.newest + 1
    rules = msgspec.Raw(encode_policy(policy))
    published = PolicyPublished(number, hash, rules, m.source, message.time, own_name(m.by, message.sender))
    return [published, Reply({"name": name, "version": number, "hash": hash, "published": True})]


def _current(state: PolicyState, m: CurrentPolicy, message: Message) -> list[Any]:
    name = message.to.partition("/")[2]
    newest = state.versions.get(str(state.newest))
    if newest is None:
        raise Refused(f"there is no policy {name}", code="not-found")
    answer: dict[str, Any] = {"name": name, "version": state.newest, "hash": newest.hash}
    if m.known != newest.hash:
        answer["rules"] = newest.rules
    return [Reply(answer)]


_DECISIONS: Final[dict[type[Any], Callable[[PolicyState, Any, Message], list[Any]]]] = {
    PublishPolicy: _publish,
    CurrentPolicy: _current,
}


def evolve(state: PolicyState, event: Any) -> PolicyState:
    """What an event makes of a policy."""
    match event:
        case PolicyPublished(version, hash, rules, source, at, by):
            state.newest = version
            # A copy: the bytes of the event may be part of a larger buffer.
            state.versions[str(version)] = PolicyVersion(hash, rules.copy(), source, at, by)
            state.versions.pop(str(version - KEPT), None)
        case _:
            pass
    return state


def query(state: PolicyState, question: DescribePolicy) -> Any:
    """A version's rules and source. Raises Refused for an unknown one."""
    number = state.newest if question.version is None else question.version
    version = state.versions.get(str(number))
    if version is None:
        raise Refused(f"there is no version {number}", code="version" if state.newest else "not-found")
    versions = [{"version": int(n), "hash": v.hash, "at": v.at, "by": v.by} for n, v in state.versions.items()]
    return {
        "version": number, "hash": version.hash, "rules": version.rules, "source": version.source, "at": version.at,
        "by": version.by, "newest": state.newest, "versions": versions,
    }  # fmt: skip


policy = Kind(
    "policy", state=PolicyState, decide=decide, evolve=evolve, query=query, questions=[DescribePolicy],
    messages=[PublishPolicy, CurrentPolicy], events=POLICY_EVENTS,
)  # fmt: skip
