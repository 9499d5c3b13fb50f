"""The actor kind `whatif/<id>`: the model calls of one what-if. Each is set aside in budgets, made, settled, recorded.

The turns are played where the what-if was asked for (`replaying/whatif.py`); what they ask of models is asked here, so
that a call that was made counts, whatever becomes of who asked. The same call again is the same one.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, cast

import msgspec

from actors.agents.conversation.decision import name_in
from actors.agents.conversation.outcomes import result_of
from actors.agents.conversation.spending import granted
from actors.agents.messages import AskWhatIf, BeginWhatIf, ReserveBudget, SettleBudget
from actors.core.kind import Kind
from actors.core.outputs import Ask, Effect, Outcome, Replied, Reply, Tell, TellRefused
from actors.models.port import MODEL_CALL, ModelCall
from events.envelope import Message
from events.errors import Refused
from events.whatif import (
    WHATIF_EVENTS,
    WhatIfAnswered,
    WhatIfAsked,
    WhatIfBegun,
    WhatIfFailed,
    WhatIfLost,
    WhatIfRefused,
)

_encode = msgspec.json.Encoder(order="deterministic").encode


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call. `open` has it until a model was asked for it and answered, or none was; `lost`: its estimate counts."""

    digest: str
    open: WhatIfAsked | None = None
    lost: bool = False


class WhatIf(msgspec.Struct, omit_defaults=True):
    """What is to be different, and the calls by turn, step and attempt."""

    begun: WhatIfBegun | None = None
    calls: dict[str, Asked] = {}


def decide(state: WhatIf, message: Message) -> list[Any]:
    """What a what-if makes of a message."""
    match message.data:
        case BeginWhatIf() as m:
            return _begin(state, m, message)
        case AskWhatIf() as m:
            return _ask(state, m, message)
        case Replied(ref=ref, data=data):
            return _budget_replied(state, ref, data, message)
        case TellRefused(ref=ref, reason=reason):
            return _no(state, ref, reason, message)
        case Outcome() as m:
            return _came_back(state, m, message)
        case _:
            return []


def _begin(state: WhatIf, m: BeginWhatIf, message: Message) -> list[Any]:
    begun = WhatIfBegun(m.conversation, m.agent, m.first, m.changes, message.time, message.sender)
    known = state.begun
    if known is None:
        return [begun, Reply({"whatif": message.to.partition("/")[2]})]
    if msgspec.structs.replace(begun, at=known.at) != known:
        raise Refused("another what-if has this name", code="exists")
    return [Reply({"whatif": message.to.partition("/")[2]})]


def _ask(state: WhatIf, m: AskWhatIf, message: Message) -> list[Any]:
    if state.begun is None:
        raise Refused(f"there is no {message.to}", code="not-found")
    key = f"{m.turn}.{m.step}.{m.attempt}"
    call = name_in(message.to.partition("/")[2], m.turn, m.step, m.attempt)
    known = state.calls.get(key)
    if known is not None:
        if known.digest != _digest(m.models, m.request):
            raise Refused("something else was asked there", code="exists")
        return [Reply({"call": call})]
    if not m.models:
        raise Refused("no model is named", code="no-model")
    asked = WhatIfAsked(
        m.turn, m.step, m.attempt, call, m.models, m.request, message.time, m.estimate, m.budgets
    )  # fmt: skip
    return [asked, *_next(asked, 0, message), Reply({"call": call})]


def _digest(models: list[str], request: Any) -> str:
    return blake2b(_encode([models, request]), digest_size=16).hexdigest()


def _next(asked: WhatIfAsked, index: int, message: Message) -> list[Any]:
    """Ask the next budget, or the model when all of them let the call in."""
    key = f"{asked.turn}.{asked.step}.{asked.attempt}"
    if index < len(asked.budgets):
        return [Ask(asked.budgets[index], ReserveBudget(asked.call, asked.estimate), ref=f"budget:{key}.{index}")]
    call = ModelCall(
        asked.call, message.to, asked.turn, asked.step, asked.attempt, asked.models, asked.request, stream=False
    )  # fmt: skip
    return [Effect(MODEL_CALL, call, ref=f"model:{key}")]


def _budget(state: WhatIf, ref: str) -> tuple[WhatIfAsked, int] | None:
    """The call that a budget is asked for, and which budget."""
    what, _, rest = ref.partition(":")
    key, _, index = rest.rpartition(".")
    known = state.calls.get(key) if what == "budget" else None
    return (known.open, int(index)) if known is not None and known.open is not None else None


def _budget_replied(state: WhatIf, ref: str, data: Any, message: Message) -> list[Any]:
    found = _budget(state, ref)
    if found is None:
        return []
    asked, index = found
    if not granted(data):
        left = cast("dict[str, Any]", data).get("left") if isinstance(data, dict) else None
        return _no(state, ref, f"{asked.budgets[index]} has nothing left ({left} dollars)", message)
    return _next(asked, index + 1, message)


def _no(state: WhatIf, ref: str, reason: str, message: Message) -> list[Any]:
    found = _budget(state, ref)
    if found is None:
        return []
    asked, index = found
    free: list[Any] = [Tell(to, SettleBudget(asked.call, "0")) for to in asked.budgets[:index]]
    return [WhatIfRefused(asked.turn, asked.step, asked.attempt, asked.call, reason, message.time), *free]


def _came_back(state: WhatIf, m: Outcome, message: Message) -> list[Any]:
    """What became of a call: its cost counts in any case."""
    known = state.calls.get(m.ref.partition(":")[2])
    if known is None or known.open is None:
        return []
    asked, now = known.open, message.time
    place = (asked.turn, asked.step, asked.attempt, asked.call)
    if m.status == "unknown":
        if known.lost:
            return []
        lost = WhatIfLost(*place, now, asked.estimate, m.error)
        return [lost, *_settled(asked, asked.estimate, estimated=True)]
    result = result_of(m)
    if result.answer is None:
        assert result.failure is not None
        failed = WhatIfFailed(*place, result.failure, now, result.tries)
        return [failed, *_settled(asked, result.cost.usd or "0")]
    cost = result.cost
    answered = WhatIfAnswered(
        *place, result.model, result.answer, now, cost.usd,
        msgspec.to_builtins(cost.price) if cost.price is not None else None, cost.why, result.tries, result.started,
        late=known.lost,
    )  # fmt: skip
    return [answered, *_settled(asked, cost.usd or asked.estimate, estimated=cost.usd is None)]


def _settled(asked: WhatIfAsked, dollars: str, *, estimated: bool = False) -> list[Any]:
    return [Tell(to, SettleBudget(asked.call, dollars, estimated)) for to in asked.budgets]


def evolve(state: WhatIf, event: Any) -> WhatIf:
    """What an event makes of a what-if."""
    match event:
        case WhatIfBegun():
            state.begun = event
        case WhatIfAsked(turn, step, attempt):
            state.calls[f"{turn}.{step}.{attempt}"] = Asked(_digest(event.models, event.request), event)
        case WhatIfLost(turn, step, attempt):
            key = f"{turn}.{step}.{attempt}"
            state.calls[key] = msgspec.structs.replace(state.calls[key], lost=True)
        case (
            WhatIfAnswered(turn, step, attempt) | WhatIfFailed(turn, step, attempt) | WhatIfRefused(turn, step, attempt)
        ):
            key = f"{turn}.{step}.{attempt}"
            state.calls[key] = Asked(state.calls[key].digest)
        case _:
            pass
    return state


whatif = Kind(
    "whatif", state=WhatIf, decide=decide, evolve=evolve,
    messages=[BeginWhatIf, AskWhatIf, Replied, TellRefused, Outcome], events=WHATIF_EVENTS,
)  # fmt: skip
