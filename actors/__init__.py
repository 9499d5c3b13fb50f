"""Who acts: what you need to write an actor of your own."""

from actors.core.kind import Attempt, EffectKind, Kind, Plugin
from actors.core.outputs import (
    Ask,
    Cancel,
    Effect,
    Outcome,
    Replied,
    Reply,
    Schedule,
    Tell,
    TellRefused,
    TimedOut,
)
from events.envelope import Message, Raw
from events.errors import Refused
from events.registry import versioned

__all__ = [
    "Ask",
    "Attempt",
    "Cancel",
    "Effect",
    "EffectKind",
    "Kind",
    "Message",
    "Outcome",
    "Plugin",
    "Raw",
    "Refused",
    "Replied",
    "Reply",
    "Schedule",
    "Tell",
    "TellRefused",
    "TimedOut",
    "versioned",
]
