"""An approval: people agree to exactly this, or do not. Whoever asked is told once; an agreement is used once.

requested → given … → reached → reserved → consumed; or denied, expired, withdrawn. Workflow steps wait for it; tools
reserve it before they act and consume it after. People are named without the `user:` of their principal, and speak
for themselves; only an actor (a channel) can say what somebody else said.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from actors.core.kind import Kind
from actors.core.outputs import Cancel, Reply, Schedule, Tell
from events.address import is_address
from events.approvals import (
    APPROVAL_EVENTS,
    ApprovalConsumed,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGiven,
    ApprovalReached,
    ApprovalReleased,
    ApprovalRequested,
    ApprovalReserved,
    ApprovalWithdrawn,
)
from events.envelope import Message
from events.errors import Refused

_canonical = msgspec.json.Encoder(order="deterministic").encode


# Messages: what an approval may be asked.


class RequestApproval(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ask people to agree to `what`. `ref` is what the asker calls it; `expires` in seconds.

    `approvers` may be empty: anybody but those who asked. `requesters` is the chain of who asked, none of whom may
    approve.
    """

    ref: str
    what: Any
    requested_by: str
    title: str = ""
    approvers: list[str] = []
    quorum: int = 1
    expires: float | None = None
    requesters: list[str] = []


class Approve(msgspec.Struct, frozen=True, omit_defaults=True):
    """Agree. With `digest`, only if that is what is asked. `by` is whoever sends it, unless an actor does."""

    by: str = ""
    digest: str = ""
    note: str = ""


class Deny(msgspec.Struct, frozen=True, omit_defaults=True):
    """Disagree. `by` as in `Approve`."""

    by: str = ""
    note: str = ""


class Withdraw(msgspec.Struct, frozen=True, omit_defaults=True):
    """The asker does not need it any more."""

    reason: str = ""


class Reserve(msgspec.Struct, frozen=True):
    """Be the one who acts on it. Refused when it is not reached, another digest, or somebody else's already."""

    holder: str
    digest: str


class Consume(msgspec.Struct, frozen=True):
    """The act was done."""

    holder: str


class Release(msgspec.Struct, frozen=True):
    """The act was not done."""

    holder: str


class Expire(msgspec.Struct, frozen=True):
    """Its own timer."""


class ApprovalDecided(msgspec.Struct, frozen=True, omit_defaults=True):
    """Told to whoever asked. `reason_kind`: denied, expired, withdrawn."""

    ref: str
    approved: bool
    digest: str
    by: list[str] = []
    reason: str = ""
    reason_kind: str = ""


class Approval(msgspec.Struct):
    """`status`: new, waiting, reached, reserved, consumed, denied, expired, withdrawn."""

    status: str = "new"
    request: ApprovalRequested | None = None
    given: list[str] = []
    holder: str = ""


def digest_of(what: Any) -> str:
    """What an agreement is bound to: BLAKE2b of the canonical JSON, in hexadecimal."""
    return blake2b(_canonical(what), digest_size=32).hexdigest()


def person(name: str) -> str:
    """The name of a principal as approvers are written: `user:ada` and `ada` are the same person."""
    return name.removeprefix("user:")


_IN_ADDRESSES: Final = str.maketrans("[]#", "()~")
"""What places of steps have and addresses cannot."""


def approval_of(address: str, place: str) -> str:
    """The address of the approval that a step of a run waits for."""
    name = f"{address.partition('/')[2]}.{place.translate(_IN_ADDRESSES)}"
    if len(name) > 150:
        name = f"{name[:110]}~{blake2b(name.encode(), digest_size=16).hexdigest()}"
    return f"approval/{name}"


def decide(state: Approval, message: Message) -> list[Any]:
    """What an approval makes of a message."""
    request = state.request
    data = message.data
    if isinstance(data, RequestApproval):
        return _request(state, data, message)
    if request is None:
        raise Refused("nobody asked for this approval", code="not-found")
    return _DECISIONS[data.__class__](state, request, data, message)


def _speaker(by: str, message: Message) -> str:
    """Who says it. Raises Refused when a person speaks for another."""
    sender = person(message.sender)
    if by and is_address(message.sender):
        return person(by)
    if by and person(by) != sender:
        raise Refused(f"{sender} cannot speak for {person(by)}", code="speaker")
    return sender


def _request(state: Approval, m: RequestApproval, message: Message) -> list[Any]:
    now = message.time
    digest = digest_of(m.what)
    if is_address(m.requested_by) and m.requested_by != message.sender:
        raise Refused(f"{message.sender} cannot ask for {m.requested_by}", code="speaker")
    due = None if m.expires is None else now + int(m.expires * 1_000_000)
    requested = ApprovalRequested(
        m.ref, digest, m.what, m.requested_by, now, m.title, m.approvers, m.quorum, due, m.requesters
    )
    if (known := state.request) is not None:
        # Who may agree, how many and until when belong to it: the same words under other rules are another approval.
        if replace(requested, at=known.at, expires_at=_shifted(due, known.at - now)) != known:
            raise Refused("another approval has this address", code="exists")
        return [Reply({"status": state.status, "digest": digest})]
    askers = {person(name) for name in (m.requested_by, *m.requesters)}
    able = {person(name) for name in m.approvers} - askers
    if m.quorum < 1 or (m.approvers and len(able) < m.quorum):
        raise Refused(f"a quorum of {m.quorum} cannot be reached by {len(able)} approvers", code="quorum")
    return [requested, *_timer(due), Reply({"status": "waiting", "digest": digest})]


def _shifted(due: int | None, by: int) -> int | None:
    return None if due is None else due + by


def _timer(due: int | None) -> list[Any]:
    return [] if due is None else [Schedule("expire", Expire(), at=due)]


def _approve(state: Approval, request: ApprovalRequested, m: Approve, message: Message) -> list[Any]:
    by, now = _speaker(m.by, message), message.time
    if m.digest and m.digest != request.digest:
        raise Refused("what is asked is not what was shown", code="digest")
    if by in state.given:
        return [Reply({"status": state.status, "given": state.given})]
    _open(state, request, now)
    if by in map(person, (request.requested_by, *request.requesters)):
        raise Refused(f"{by} asked for it and cannot approve it: somebody else has to", code="requester")
    _may(request, by)
    given = [*state.given, by]
    events: list[Any] = [ApprovalGiven(by, now, request.digest, m.note)]
    if len(given) >= request.quorum:
        decided = ApprovalDecided(request.ref, True, request.digest, given)
        events += [ApprovalReached(given, now), *_told(request, decided), Reply({"status": "reached", "given": given})]
    else:
        events.append(Reply({"status": "waiting", "given": given, "needed": request.quorum - len(given)}))
    return events


def _deny(state: Approval, request: ApprovalRequested, m: Deny, message: Message) -> list[Any]:
    by, now = _speaker(m.by, message), message.time
    _open(state, request, now)
    _may(request, by)
    why = f"denied by {by}" + (f": {m.note}" if m.note else "")
    decided = ApprovalDecided(request.ref, False, request.digest, [by], why, "denied")
    return [ApprovalDenied(by, now, m.note), Cancel("expire"), *_told(request, decided), Reply({"status": "denied"})]


def _expire(state: Approval, request: ApprovalRequested, _m: Expire, message: Message) -> list[Any]:
    now = message.time
    if state.status == "reached":
        return [ApprovalExpired(now)]
    if state.status != "waiting":
        return []
    decided = ApprovalDecided(request.ref, False, request.digest, [], "nobody decided in time", "expired")
    return [ApprovalExpired(now), *_told(request, decided)]


def _withdraw(state: Approval, request: ApprovalRequested, m: Withdraw, message: Message) -> list[Any]:
    if person(message.sender) not in map(person, (request.requested_by, *request.requesters)):
        raise Refused(f"{message.sender} did not ask for it", code="requester")
    if state.status not in ("waiting", "reached"):
        return [Reply({"status": state.status})]
    return [ApprovalWithdrawn(message.time, m.reason), Cancel("expire"), Reply({"status": "withdrawn"})]


def _reserve(state: Approval, request: ApprovalRequested, m: Reserve, message: Message) -> list[Any]:
    _itself(m.holder, message)
    if m.digest != request.digest:
        raise Refused("what is to be done is not what was approved", code="digest")
    if state.holder == m.holder and state.status in ("reserved", "consumed"):
        return [Reply({"status": state.status})]
    if state.status != "reached":
        raise Refused(f"the approval is {state.status}", code=state.status)
    _in_time(request, message.time)
    return [ApprovalReserved(m.holder, m.digest, message.time), Cancel("expire"), Reply({"status": "reserved"})]


def _consume(state: Approval, _request: ApprovalRequested, m: Consume, message: Message) -> list[Any]:
    _itself(m.holder, message)
    if state.status == "consumed" and state.holder == m.holder:
        return [Reply({"status": "consumed"})]
    _hold(state, m.holder)
    return [ApprovalConsumed(m.holder, message.time), Reply({"status": "consumed"})]


def _release(state: Approval, request: ApprovalRequested, m: Release, message: Message) -> list[Any]:
    _itself(m.holder, message)
    _hold(state, m.holder)
    released = ApprovalReleased(m.holder, message.time)
    if request.expires_at is not None and message.time >= request.expires_at:
        return [released, ApprovalExpired(message.time), Reply({"status": "expired"})]
    return [released, *_timer(request.expires_at), Reply({"status": "reached"})]


def _open(state: Approval, request: ApprovalRequested, now: int) -> None:
    if state.status != "waiting":
        raise Refused(f"the approval is {state.status}", code=state.status)
    _in_time(request, now)


def _in_time(request: ApprovalRequested, now: int) -> None:
    """Its time may be over though its timer has not come yet."""
    if request.expires_at is not None and now >= request.expires_at:
        raise Refused("the approval is expired", code="expired")


def _may(request: ApprovalRequested, by: str) -> None:
    if request.approvers and by not in map(person, request.approvers):
        raise Refused(f"{by} is not an approver", code="approver")


def _itself(holder: str, message: Message) -> None:
    """An actor acts on an agreement itself."""
    if is_address(message.sender) and holder != message.sender:
        raise Refused(f"{message.sender} cannot hold it for {holder}", code="holder")


def _hold(state: Approval, holder: str) -> None:
    if state.status != "reserved" or state.holder != holder:
        raise Refused(f"the approval is {state.status}, not reserved for {holder}", code=state.status)


def _told(request: ApprovalRequested, decided: ApprovalDecided) -> list[Any]:
    """Tell an actor that asked; a person looks."""
    return [Tell(request.requested_by, decided)] if is_address(request.requested_by) else []


_DECISIONS: Final[dict[type[Any], Callable[[Approval, ApprovalRequested, Any, Message], list[Any]]]] = {
    Approve: _approve,
    Deny: _deny,
    Expire: _expire,
    Withdraw: _withdraw,
    Reserve: _reserve,
    Consume: _consume,
    Release: _release,
}

_STATUS: Final[dict[type[Any], str]] = {
    ApprovalReached: "reached",
    ApprovalDenied: "denied",
    ApprovalExpired: "expired",
    ApprovalWithdrawn: "withdrawn",
    ApprovalReserved: "reserved",
    ApprovalConsumed: "consumed",
    ApprovalReleased: "reached",
}
"""Where an event leads, other than those that say more."""


def evolve(state: Approval, event: Any) -> Approval:
    """What an event makes of an approval."""
    match event:
        case ApprovalRequested():
            return Approval("waiting", event)
        case ApprovalGiven(by):
            return Approval(state.status, state.request, [*state.given, by], state.holder)
        case ApprovalReserved(holder):
            return Approval("reserved", state.request, state.given, holder)
        case _:
            return Approval(_STATUS[event.__class__], state.request, state.given, state.holder)


approval = Kind(
    "approval",
    state=Approval,
    decide=decide,
    evolve=evolve,
    messages=[RequestApproval, Approve, Deny, Withdraw, Reserve, Consume, Release, Expire],
    inner=[RequestApproval, Reserve, Consume, Release, Expire],
    events=APPROVAL_EVENTS,
)
