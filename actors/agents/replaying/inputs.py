"""What must have come in for a recorded event to happen: given to a driver again, from the record alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from actors.agents.conversation.guarding import GuardChecked
from actors.agents.messages import (
    CheckTurn,
    CloseConversation,
    DeclareVariable,
    InterruptTurn,
    Post,
    RemoveVariable,
    SetVariable,
)
from actors.agents.replaying.driver import Driver
from actors.core.outputs import Ask, Effect, TellRefused
from actors.tools.messages import CallFinished, CallWaits
from events.agents import VariableDeclared, VariableRemoved, VariableSet
from events.conversations import (
    AgentAdopted,
    ConversationClosed,
    Guarded,
    MessageReceived,
    MessageTurnedAway,
    ModelAnswered,
    ModelAsked,
    ModelFailed,
    ModelLost,
    OutboundDelivered,
    OutboundFailed,
    OutboundIntended,
    ToolAnswered,
    ToolWaits,
    TurnAdmitted,
    TurnEnded,
    TurnStarted,
    TurnStuck,
    VariablesRead,
)
from events.models import Cost, ModelResult, Price


def feed(driver: Driver, fact: Any, following: Any) -> str:
    """Give what a recorded event came from; `following` is the event after it. Returns why that is not possible, or ""
    (it may still have led to something else)."""
    step = _FEEDS.get(fact.__class__)
    if step is None:
        return "today's code does not do this here"
    driver.now = getattr(fact, "at", driver.now + 1) - 1  # it is decided at that very time, to the microsecond
    return step(driver, fact, following) or ""


def _received(driver: Driver, e: MessageReceived, _following: Any) -> str | None:
    post = Post(
        e.id, e.text, sender=e.sender, label=e.label, attachments=e.attachments, ref=e.ref,
        run=e.run, variables=e.variables, requesters=e.requesters,
    )  # fmt: skip
    return driver.try_give(post, e.asker or e.sender)


def _begun(driver: Driver, _e: TurnStarted, _following: Any) -> str | None:
    return driver.try_give(CheckTurn(0), driver.address)


def _admitted(driver: Driver, e: TurnAdmitted, following: Any) -> str | None:
    ask = driver.take(f"admit:{e.turn}")
    if ask is None:
        return f"turn {e.turn} does not ask to be admitted"
    said: dict[str, Any] = {"admitted": True, "version": e.version, "hash": e.hash}
    if isinstance(following, AgentAdopted):
        said["definition"] = msgspec.json.decode(following.definition)
    driver.answer(ask, said)
    return None


def _variables(driver: Driver, e: VariablesRead, _following: Any) -> str | None:
    ask = driver.take(f"var:{e.turn}:{e.scope}")
    if ask is None:
        return f"the variables of the {e.scope} are not asked for"
    driver.answer(ask, {"values": e.values})
    return None


def _asked(driver: Driver, _e: ModelAsked, _following: Any) -> str | None:
    """Budgets let the call in, one after the other."""
    return None if grant(driver, granted=True) else "no model is asked here"


def grant(driver: Driver, *, granted: bool) -> bool:
    """Answer all budgets that are asked; whether any was."""
    found = False
    while (ask := _open(driver, "budget:")) is not None:
        driver.answer(ask, {"granted": granted, "left": "0"})
        found = True
    return found


def _open(driver: Driver, prefix: str) -> Any:
    for wanted in driver.asked:
        if isinstance(wanted, Ask) and wanted.ref.startswith(prefix):
            return driver.take(wanted.ref)
    return None


def _model(driver: Driver, e: ModelAnswered | ModelFailed | ModelLost, _following: Any) -> str | None:
    effect = driver.take(f"model:{e.turn}.{e.step}.{e.attempt}")
    if not isinstance(effect, Effect):
        return f"model call {e.call} is not made"
    match e:
        case ModelAnswered() | ModelFailed():
            driver.settle(effect, "succeeded", recorded_result(e))
        case ModelLost():
            driver.settle(effect, "unknown", None, e.reason)
            if e.call:  # its real outcome may come later
                driver.asked.append(effect)
    return None


def recorded_result(e: ModelAnswered | ModelFailed) -> ModelResult:
    """The result that a recorded answer or failure came from."""
    if isinstance(e, ModelFailed):
        return ModelResult("", failure=e.failure, tries=e.tries)
    price = msgspec.convert(e.price, Price) if e.price is not None else None
    return ModelResult(
        e.model, e.answer, None, Cost(e.cost, price, e.why), e.tries, e.started, 0, e.first, e.chunks
    )  # fmt: skip


def _tool(driver: Driver, e: ToolAnswered, _following: Any) -> str | None:
    request = driver.take_call(e.call)
    if request is None:
        return f"call {e.call} is not made"
    finished = CallFinished(request.ref, e.call, request.tool, e.status, e.text, e.label, citations=e.citations)
    driver.give(finished, f"call/{e.call}")
    return None


def _waits(driver: Driver, e: ToolWaits, _following: Any) -> str | None:
    driver.give(CallWaits(f"{e.turn}.{e.ordinal}", e.call, e.approval, e.digest), f"call/{e.call}")
    return None


def _guarded(driver: Driver, e: Guarded, _following: Any) -> str | None:
    effect = driver.take(f"guard:{e.turn}.{e.step}:{e.edge}:{e.subject}")
    if not isinstance(effect, Effect):
        return f"no guard on {e.edge} speaks here"
    driver.settle(effect, "succeeded", GuardChecked(e.verdicts))
    return None


def _delivery(driver: Driver, e: OutboundDelivered | OutboundFailed, _following: Any) -> str | None:
    effect = driver.take(f"deliver:{e.number}.{e.attempt}")
    if not isinstance(effect, Effect):
        return f"outbound message {e.number} is not sent"
    if isinstance(e, OutboundDelivered):
        driver.settle(effect, "succeeded", e.receipt)
    else:
        driver.settle(effect, "unknown" if e.unknown else "failed", None, e.reason)
        if e.unknown:
            driver.asked.append(effect)
    return None


def _ended(driver: Driver, e: TurnEnded, _following: Any) -> str | None:
    match e.code:
        case "interrupted":
            return driver.try_give(InterruptTurn(e.turn, reason=e.reason), "user:replay")
        case "closed":
            return driver.try_give(CloseConversation(reason=e.reason), "user:replay")
        case "timeout":
            return driver.try_give(CheckTurn(e.turn), driver.address)
        case "budget":
            return None if grant(driver, granted=False) else "no budget is asked here"
        case _:
            ask = driver.take(f"admit:{e.turn}")
            if ask is None:
                return f"turn {e.turn} does not end here"
            driver.give(TellRefused(ask.to, "", "AdmitTurn", e.code, e.reason, ask.ref), ask.to)
            return None


def _intended(driver: Driver, e: OutboundIntended, _following: Any) -> str | None:
    """A turn that fails says so before it ends, for the reason it ends for."""
    if e.kind != "failure":
        return "today's code does not do this here"
    return _ended(driver, TurnEnded(e.turn, "failed", e.at, e.text, e.data["code"]), None)


def _closed(driver: Driver, e: ConversationClosed | MessageTurnedAway, _following: Any) -> str | None:
    return driver.try_give(CloseConversation(reason=e.reason), "user:replay")


def _stuck(driver: Driver, e: TurnStuck, _following: Any) -> str | None:
    return driver.try_give(CheckTurn(e.turn), driver.address)


def _declared(driver: Driver, e: VariableDeclared, _following: Any) -> str | None:
    return driver.try_give(DeclareVariable(e.name, e.schema, e.merge, e.secret, e.by), e.by or "user:replay")


def _set(driver: Driver, e: VariableSet, _following: Any) -> str | None:
    value = e.value if e.given is None else e.given
    return driver.try_give(SetVariable(e.name, value, e.by), e.by or "user:replay")


def _removed(driver: Driver, e: VariableRemoved, _following: Any) -> str | None:
    return driver.try_give(RemoveVariable(e.name, e.by), e.by or "user:replay")


_FEEDS: Final[dict[type[Any], Callable[[Driver, Any, Any], str | None]]] = {
    MessageReceived: _received,
    TurnStarted: _begun,
    TurnAdmitted: _admitted,
    VariablesRead: _variables,
    ModelAsked: _asked,
    ModelAnswered: _model,
    ModelFailed: _model,
    ModelLost: _model,
    ToolAnswered: _tool,
    ToolWaits: _waits,
    Guarded: _guarded,
    OutboundDelivered: _delivery,
    OutboundFailed: _delivery,
    OutboundIntended: _intended,
    TurnEnded: _ended,
    ConversationClosed: _closed,
    MessageTurnedAway: _closed,
    TurnStuck: _stuck,
    VariableDeclared: _declared,
    VariableSet: _set,
    VariableRemoved: _removed,
}
