"""The actor kind `inquiry` (`inquiry/<key>`): one question to an agent by somebody who cannot be told the answer.

A step of a workflow asks here and looks until the answer is there. The key is the step's: asking again, after a crash
or on another host, is the same question, and the agent is asked once.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.agents.messages import ConversationReplied, InterruptTurn, Post
from actors.core.kind import Kind
from actors.core.outputs import Reply, Tell, TellRefused
from events.address import OUTSIDE, own_name
from events.agents import INQUIRY_EVENTS, InquiryAnswered, InquiryMade
from events.envelope import Message
from events.errors import Refused


class Inquire(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ask an agent, in a conversation of its own or in one that there is. Answer: `{conversation, answered}`."""

    agent: str
    message: str
    conversation: str = ""
    by: str = ""
    run: str = ""
    """The run whose context variables the agent is shown."""
    variables: dict[str, Any] = {}
    """Those of the step that asks."""
    requesters: list[str] = []
    """Everybody in whose name it is asked: none of them may agree to what the agent wants to do."""


class StopInquiry(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nobody waits any more: the turn is interrupted."""

    reason: str = ""


class DescribeInquiry(msgspec.Struct, frozen=True):
    """A question: what came of it, null so far."""


class Inquiry(msgspec.Struct, omit_defaults=True):
    """The question and its answer."""

    made: InquiryMade | None = None
    answer: InquiryAnswered | None = None


def decide(state: Inquiry, message: Message) -> list[Any]:
    """What an inquiry makes of a message."""
    match message.data:
        case Inquire() as m:
            return _inquire(state, m, message)
        case ConversationReplied() as m if state.made is not None and state.answer is None:
            return [
                InquiryAnswered(
                    m.status, message.time, m.turn, m.text, m.data, m.label, m.reason, m.usage, m.cost
                )
            ]  # fmt: skip
        case TellRefused(message_type="Post") as m if state.answer is None:
            return [InquiryAnswered("refused", message.time, reason=f"{m.code}: {m.reason}")]
        case StopInquiry(reason) if state.made is not None and state.answer is None:
            stop = InterruptTurn(0, message.sender, reason or "nobody waits for it any more")
            answered = InquiryAnswered("cancelled", message.time, reason=stop.reason)
            return [answered, Tell(f"conversation/{state.made.conversation}", stop), Reply({"stopped": True})]
        case StopInquiry():
            return [Reply({"stopped": False})]
        case _:
            return []


def _inquire(state: Inquiry, m: Inquire, message: Message) -> list[Any]:
    key = message.to.partition("/")[2]
    if m.requesters and message.sender.partition(":")[0] in OUTSIDE:
        raise Refused(f"{message.sender} cannot ask in the name of {', '.join(m.requesters)}", code="speaker")
    made = InquiryMade(
        m.agent, m.conversation or key, m.message, message.time, own_name(m.by, message.sender), m.run, m.variables
    )  # fmt: skip
    reply = Reply({"conversation": made.conversation, "answered": state.answer is not None})
    if state.made is not None:
        if msgspec.structs.replace(made, at=state.made.at, by=state.made.by) != state.made:
            raise Refused("another question was asked under this key", code="exists")
        return [reply]
    post = Post(
        message.to, m.message, agent=m.agent, channel="actor", sender=made.by, ref="inquiry",
        run=m.run, variables=m.variables, requesters=list(dict.fromkeys([*m.requesters, made.by])),
    )  # fmt: skip
    return [made, Tell(f"conversation/{made.conversation}", post), reply]


def evolve(state: Inquiry, event: Any) -> Inquiry:
    """What an event makes of an inquiry."""
    match event:
        case InquiryMade():
            state.made = event
        case InquiryAnswered():
            state.answer = event
        case _:
            pass
    return state


def query(state: Inquiry, _question: DescribeInquiry) -> Any:
    """The answer, or null."""
    conversation = state.made.conversation if state.made is not None else ""
    return {"conversation": conversation, "answer": state.answer}


inquiry = Kind(
    "inquiry", state=Inquiry, decide=decide, evolve=evolve, query=query, questions=[DescribeInquiry],
    inner=[ConversationReplied],
    messages=[Inquire, StopInquiry, ConversationReplied, TellRefused], events=INQUIRY_EVENTS,
)  # fmt: skip
