"""One decision of a conversation: events are tried on a shallow copy as they are made, so that each sees the last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

from actors.agents.conversation.fold import evolve
from actors.agents.conversation.state import Conversation, Turn, scratch
from actors.agents.definition.plan import AgentDefinition
from actors.channels.port import Channel
from actors.channels.table import channel_of
from events.conversations import Verdict
from events.envelope import Message

Look = Callable[[str, str, Iterable[Any]], list[Verdict]]
"""(edge, text, guards) → what they say of it."""

LONGEST: Final = 150
"""Characters of a conversation's id in the ids made of it; of a longer one a hash stands for the rest."""


class Decision:
    """What one message leads to. The state itself is not touched."""

    __slots__ = ("address", "channels", "events", "id", "look", "message", "now", "outs", "state")

    def __init__(self, look: Look, channels: Mapping[str, Channel], state: Conversation, message: Message) -> None:
        self.look = look
        self.channels = channels
        self.state = scratch(state)
        self.message = message
        self.address = message.to
        self.id = message.to.partition("/")[2]
        self.now = message.time
        self.events: list[Any] = []
        self.outs: list[Any] = []

    def emit(self, event: Any) -> None:
        """This happened."""
        self.events.append(event)
        self.state = evolve(self.state, event)

    def out(self, output: Any) -> None:
        """A tell, an ask, an effect, a timer or a reply."""
        self.outs.append(output)

    @property
    def turn(self) -> Turn:
        """The turn under way."""
        assert self.state.turn is not None
        return self.state.turn

    @property
    def channel(self) -> Channel:
        """What the conversation goes through."""
        return channel_of(self.state.channel, self.channels)

    @property
    def definition(self) -> AgentDefinition:
        """What the turn is taken by."""
        assert self.state.definition is not None
        return self.state.definition

    def name(self, *numbers: int) -> str:
        """An id within this conversation: of a model call, of a tool call."""
        return name_in(self.id, *numbers)


def name_in(conversation: str, *numbers: int) -> str:
    """The id of something in a conversation, by its id and what counts it there."""
    if len(conversation) > LONGEST:
        conversation = f"{conversation[:110]}~{blake2b(conversation.encode(), digest_size=16).hexdigest()}"
    return ".".join([conversation, *map(str, numbers)])
