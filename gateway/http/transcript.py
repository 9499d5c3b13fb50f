"""A conversation as its readers see it: folded from its events, now or up to a version, whatever the actor keeps."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import msgspec

from actors.channels.port import Deliver
from events import conversations as c
from events.envelope import Event
from events.models import ModelTry
from events.registry import Registry

ENDED: Final = frozenset(("replied", "failed", "interrupted", "cancelled"))

_REGISTRY: Final = Registry(c.CONVERSATION_EVENTS)


class ToolLine(msgspec.Struct):
    """A tool that was asked for in a turn. `status` is asked, or waiting for an approval, until there is an answer."""

    ordinal: int
    tool: str
    call: str
    arguments: str
    status: str = "asked"
    text: str = ""
    approval: str = ""
    digest: str = ""


class TurnLine(msgspec.Struct):
    """A turn. `models` are those that answered, in order."""

    turn: int
    messages: list[int]
    started_at: int
    status: str = "running"
    text: str = ""
    data: Any = None
    citations: list[c.Citation] = []
    label: str = ""
    version: int = 0
    steps: int = 0
    models: list[str] = []
    unanswered: dict[str, str] = {}
    """Models that were asked before one answered, and why they did not."""
    stand_in: bool = False
    """A scripted model answered, not a language model."""
    tools: list[ToolLine] = []
    usage: dict[str, int] = {}
    cost: str | None = None
    model_calls: int = 0
    tool_calls: int = 0
    code: str = ""
    reason: str = ""
    ended_at: int | None = None
    stuck_at: int | None = None
    partial: str = ""
    """What the last model answered, while the turn goes on."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status in ENDED

    @property
    def asks(self) -> list[ToolLine]:
        """Tools that people have to agree to now."""
        return [tool for tool in self.tools if tool.status == "waiting"]


class MessageLine(msgspec.Struct):
    """Something somebody wrote. `turn` is 0 while it waits."""

    number: int
    id: str
    sender: str
    text: str
    at: int
    label: str
    turn: int = 0


class Refusal(msgspec.Struct):
    """A message that was not taken."""

    id: str
    sender: str
    code: str
    reason: str
    at: int


class Outbound(msgspec.Struct):
    """Something that goes out through the channel: intended, attempted, delivered, failed, unknown."""

    deliver: Deliver
    turn: int
    status: str = "intended"
    attempts: int = 0
    receipt: Any = None
    reason: str = ""

    @property
    def number(self) -> int:
        """Counts what goes out of the conversation from 1."""
        return self.deliver.number

    @property
    def kind(self) -> str:
        """reply, failure, approval."""
        return self.deliver.kind


class Transcript:
    """Folds the events of one conversation, in order. `turns` and `messages` are by number."""

    def __init__(self) -> None:
        self.opened: c.ConversationOpened | None = None
        self.closed: c.ConversationClosed | None = None
        self.messages: dict[int, MessageLine] = {}
        self.turns: dict[int, TurnLine] = {}
        self.refused: list[Refusal] = []
        self.outbound: dict[int, Outbound] = {}
        self.summaries: list[c.HistoryCompacted] = []
        self.version = 0
        self.position = 0
        self.at = 0

    def fold(self, events: Iterable[Event]) -> None:
        """Take events that follow those before."""
        for event in events:
            if event.version <= self.version:
                continue
            self.version, self.position, self.at = event.version, event.position, event.recorded_at
            self._take(_REGISTRY.decode(event.type, event.schema, event.data))

    @property
    def current(self) -> TurnLine | None:
        """The turn that goes on."""
        last = self.turns.get(max(self.turns, default=0))
        return last if last is not None and not last.over else None

    @property
    def waiting(self) -> int:
        """Messages that wait for their turn."""
        return sum(message.turn == 0 for message in self.messages.values())

    def sent(self, turn: int) -> list[Deliver]:
        """What went out of a turn, as channels render it."""
        return [out.deliver for out in self.outbound.values() if out.turn == turn]

    def turn_of(self, number: int) -> TurnLine | None:
        """The turn that answers a message; None while it waits."""
        message = self.messages.get(number)
        return self.turns.get(message.turn) if message is not None else None

    def costs(self) -> tuple[str, int]:
        """Dollars of all turns that ended, as far as they are known, and how many are not."""
        ended = [turn for turn in self.turns.values() if turn.over]
        known = [Decimal(turn.cost) for turn in ended if turn.cost is not None]
        return str(sum(known, Decimal(0))), len(ended) - len(known)

    def _take(self, e: Any) -> None:
        match e:
            case c.ConversationOpened():
                self.opened = e
            case c.ConversationClosed():
                self.closed = e
            case c.MessageReceived():
                self.messages[e.number] = MessageLine(e.number, e.id, e.sender, e.text, e.at, e.label)
            case c.MessageTurnedAway():
                self.refused.append(Refusal(e.id, e.sender, e.code, e.reason, e.at))
            case c.TurnStarted():
                self.turns[e.turn] = TurnLine(e.turn, list(e.messages), e.at)
                for number in e.messages:
                    if number in self.messages:
                        self.messages[number].turn = e.turn
            case c.HistoryCompacted():
                self.summaries.append(e)
            case c.OutboundIntended():
                self.outbound[e.number] = Outbound(Deliver("", "", e.number, e.kind, e.text, e.data), e.turn)
            case c.OutboundAttempted() | c.OutboundDelivered() | c.OutboundFailed():
                if (out := self.outbound.get(e.number)) is not None:
                    _deliver(out, e)
            case _:
                turn = self.turns.get(getattr(e, "turn", 0))
                if turn is not None:
                    _advance(turn, e)


def _deliver(out: Outbound, e: c.OutboundAttempted | c.OutboundDelivered | c.OutboundFailed) -> None:
    out.attempts = max(out.attempts, e.attempt)
    match e:
        case c.OutboundAttempted():
            out.status = "attempted"
        case c.OutboundDelivered():
            out.status, out.receipt = "delivered", e.receipt
        case c.OutboundFailed():
            out.status, out.reason = "unknown" if e.unknown else "failed", e.reason


def _advance(turn: TurnLine, e: Any) -> None:
    """What an event of a turn makes of it."""
    match e:
        case c.TurnAdmitted():
            turn.version = e.version
        case c.ModelAsked():
            turn.steps = max(turn.steps, e.step)
        case c.ModelAnswered(late=False):
            turn.models = [*turn.models, e.model]
            turn.unanswered = _unanswered(e.tries, e.model) | turn.unanswered
            turn.stand_in = turn.stand_in or is_stand_in(e.model)
            turn.partial = e.answer.text
        case c.ModelFailed():
            turn.unanswered = _unanswered(e.tries) | turn.unanswered
        case c.ToolAsked():
            turn.tools = [*turn.tools, ToolLine(e.ordinal, e.tool, e.call, e.arguments)]
        case c.ToolWaits():
            for tool in turn.tools:
                if tool.ordinal == e.ordinal:
                    approval = e.approval.removeprefix("approval/")
                    tool.status, tool.approval, tool.digest = "waiting", approval, e.digest
        case c.ToolAnswered():
            for tool in turn.tools:
                if tool.ordinal == e.ordinal:
                    tool.status, tool.text = e.status, e.text
        case c.TurnStuck():
            turn.stuck_at = e.at
        case c.TurnReplied():
            turn.text, turn.data, turn.citations, turn.label = e.text, e.data, e.citations, e.label
        case c.TurnEnded():
            turn.status, turn.code, turn.reason, turn.ended_at = e.status, e.code, e.reason, e.at
            turn.usage, turn.cost = e.usage, e.cost
            turn.model_calls, turn.tool_calls = e.model_calls, e.tool_calls
            turn.partial = ""
        case _:
            pass


def _unanswered(tries: Iterable[ModelTry], answered: str = "") -> dict[str, str]:
    """Why each model that was tried did not answer, by the last try."""
    return {one.model: f"{one.failure.kind}: {one.failure.message}" for one in tries if one.model != answered}


def is_stand_in(model: str) -> bool:
    """Whether a model (provider:model) is the scripted one, which is no language model."""
    return model.partition(":")[0] == "scripted"
