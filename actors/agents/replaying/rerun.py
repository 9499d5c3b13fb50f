"""A conversation run again by today's code, with what models, tools and people said taken from the record.

Events are compared one by one in their order: where today's code asks a model or a tool something else than was
recorded (the digests differ), or does something else, that is a divergence, and it ends there. Nothing is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from actors.agents.conversation.fold import evolve
from actors.agents.conversation.state import Conversation
from actors.agents.prompt.explain import typed
from actors.agents.replaying.driver import Decide, Driver
from actors.agents.replaying.inputs import feed
from events.conversations import ContextAssembled, ModelAsked, ToolAsked, TurnStarted
from events.envelope import Event
from events.errors import NotFound

IGNORED: Final = frozenset(("at", "since", "cause", "by", "started", "chunks", "first"))
"""Fields that are another time or another name for who started it."""

BINDING: Final = (ContextAssembled, ModelAsked, ToolAsked)
"""What decides whether a recorded answer may be used: their digests."""


class Divergence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where today's code does something else. `where` names the turn and step, `version` the recorded event,
    `field` what differs in it ("" when it is another event or none)."""

    where: str
    version: int
    event: str
    field: str = ""
    expected: Any = None
    got: Any = None
    why: str = ""


class Rerun(msgspec.Struct, frozen=True):
    """What came of it. `turns` ended as recorded, `compared` events were looked at; `notes` are differences that change
    nothing of what is asked (another verdict, other counts)."""

    from_turn: int
    turns: int
    compared: int
    divergence: Divergence | None
    notes: list[Divergence]


def rerun(events: Iterable[Event], from_turn: int, decide: Decide) -> Rerun:
    """Run the stream of a conversation again from a turn. `decide` is that of `conversation_kind()`.

    Raises NotFound when there is no such turn.
    """
    recorded = list(typed(events))
    first = next((n for n, (_, f) in enumerate(recorded) if isinstance(f, TurnStarted) and f.turn == from_turn), None)
    if first is None:
        raise NotFound(
            f"there is no turn {from_turn} in this conversation",
            hint="`GET /v1/conversations/CONVERSATION` has its turns",
        )
    state = Conversation()
    for _, fact in recorded[:first]:
        state = evolve(state, fact)
    address, tenant = recorded[0][0].stream, recorded[0][0].tenant
    driver = Driver(decide, state, address, tenant)
    driver.resume()
    rest = recorded[first:]
    notes: list[Divergence] = []
    turns = 0
    for n, (event, fact) in enumerate(rest):
        if len(driver.facts) <= n:
            why = feed(driver, fact, rest[n + 1][1] if n + 1 < len(rest) else None)
            if len(driver.facts) <= n:
                missing = Divergence(_where(fact), event.version, event.type, expected=_plain(fact), why=why)
                return Rerun(from_turn, turns, n, missing, notes)
        got = driver.facts[n]
        if got.__class__ is not fact.__class__:
            other = Divergence(_where(fact), event.version, event.type, "", event.type, type(got).__name__,
                               "something else happens")  # fmt: skip
            return Rerun(from_turn, turns, n, other, notes)
        for field, expected, now in _differences(fact, got):
            found = Divergence(_where(fact), event.version, event.type, field, expected, now)
            if isinstance(fact, BINDING) and field == "digest":
                return Rerun(from_turn, turns, n, found, notes)
            notes.append(found)
        turns += event.type == "TurnEnded"
    return Rerun(from_turn, turns, len(rest), None, notes)


def _where(fact: Any) -> str:
    turn, step, ordinal = (getattr(fact, name, 0) for name in ("turn", "step", "ordinal"))
    parts = [f"turn {turn}" if turn else "", f"step {step}" if step else "", f"tool {ordinal}" if ordinal else ""]
    return ", ".join(filter(None, parts)) or "between turns"


def _plain(fact: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(fact))


def _differences(expected: Any, got: Any) -> Iterable[tuple[str, Any, Any]]:
    for field in msgspec.structs.fields(expected):
        if field.name in IGNORED:
            continue
        before, now = _plain(getattr(expected, field.name)), _plain(getattr(got, field.name))
        if before != now:
            yield field.name, before, now
