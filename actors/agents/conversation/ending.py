"""A turn starts when the one before is over, and ends once: with an answer, or with the reason why there is none."""

from __future__ import annotations

from typing import Final

from actors.agents.conversation.decision import Decision
from actors.agents.conversation.outbound import intend
from actors.agents.conversation.spending import release
from actors.agents.conversation.state import Inbound, Turn
from actors.agents.conversation.watching import TIMER, first_check
from actors.agents.messages import AdmitTurn, ConversationReplied, TurnOver
from actors.core.outputs import Ask, Cancel, Tell
from actors.tools.messages import DropCall
from events.address import split
from events.conversations import MessageTurnedAway, TurnEnded, TurnReplied, TurnStarted
from events.errors import InvalidName

TOGETHER: Final = ("merge", "interrupt")
"""Policies by which all that waits is answered in one turn."""


def policy_of(d: Decision) -> str:
    """What becomes of a message that comes during a turn."""
    definition = d.state.definition
    return d.state.policy or (definition.double_texting if definition is not None else "enqueue")


def begin_next(d: Decision) -> None:
    """Take the next turn, if somebody waits and nobody is answered."""
    state = d.state
    if state.turn is not None or not state.waiting or state.status != "open":
        return
    chosen = state.waiting if policy_of(d) in TOGETHER else state.waiting[:1]
    number = state.turns + 1
    d.emit(TurnStarted(number, [m.number for m in chosen], d.now, chosen[0].cause))
    admit = AdmitTurn(d.id, number, f"admit:{number}", state.hash)
    d.out(Ask(f"agent/{state.agent}", admit, ref=f"admit:{number}"))
    first_check(d)


def reply(d: Decision, replied: TurnReplied) -> None:
    """The turn has an answer."""
    d.emit(replied)
    intend(d, "reply", replied.text, replied.data, replied.turn)
    end_turn(d, "replied", replied=replied)


def fail_turn(d: Decision, code: str, reason: str) -> None:
    """There is no answer, and this is why."""
    end_turn(d, "failed", code, reason)


def end_turn(d: Decision, status: str, code: str = "", reason: str = "", *, replied: TurnReplied | None = None) -> None:
    """The turn is over; what is still under way for it is dropped, and the next one starts."""
    turn = d.turn
    for tool in turn.tools:
        d.out(Tell(f"call/{tool.call}", DropCall(reason or status)))
    if turn.phase == "budget":
        release(d)
    if status == "failed":
        intend(d, "failure", reason or code, {"code": code}, turn.number)
    d.emit(
        TurnEnded(
            turn.number, status, d.now, reason, code, turn.usage, turn.cost, turn.model_calls, turn.tool_calls
        )
    )  # fmt: skip
    d.out(Cancel(TIMER))
    d.out(Tell(f"agent/{d.state.agent}", TurnOver(d.id, turn.number, status)))
    _tell(d, turn, status, reason, replied)
    begin_next(d)


def _tell(d: Decision, turn: Turn, status: str, reason: str, replied: TurnReplied | None) -> None:
    """Tell the actors that posted, and the one for whom the conversation was opened."""
    parent = d.state.parent
    told = {m.asker: m.ref for m in turn.messages if m.asker}
    if parent and parent not in told:
        told[parent] = turn.messages[0].ref
    for to, ref in told.items():
        text, data = (replied.text, replied.data) if replied is not None else ("", None)
        label = replied.label if replied is not None else turn.label
        said = ConversationReplied(
            ref, d.address, turn.number, status, text, data, label, reason, turn.usage, turn.cost
        )  # fmt: skip
        d.out(Tell(to, said))


def turn_away(d: Decision, message: Inbound, code: str, reason: str) -> None:
    """A message that waited is not answered."""
    d.emit(MessageTurnedAway(message.id, message.sender, d.now, code, reason))
    if message.asker:
        d.out(Tell(message.asker, ConversationReplied(message.ref, d.address, 0, code, reason=reason)))


def is_actor(sender: str) -> bool:
    """Whether a sender can be told something."""
    try:
        kind, _ = split(sender)
    except InvalidName:
        return False
    return kind not in ("router", "effect")
