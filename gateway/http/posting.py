"""Saying something in a conversation, and waiting for the answer: what all doors to a conversation share."""

from __future__ import annotations

import time
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

import msgspec

from actors.agents.messages import Post
from actors.channels.http import incoming
from events import ids
from events.envelope import Answer
from gateway.http.agents import agent_stream
from gateway.http.asking import message, reply, send
from gateway.http.context import correlation
from gateway.http.conversation_feed import Feed
from gateway.http.route import Call
from gateway.http.showing import Showing
from gateway.http.transcript import Transcript, TurnLine
from gateway.problems import Declined, Full

AGAIN: Final = 100
"""Times that one key may be refused because there is no room; then it needs another."""

_BUSY: Final = frozenset(("busy", "full"))

_DECIDED: Final = 64
"""More events than one decision about a message has."""


class Posted(msgspec.Struct):
    """A message that was taken."""

    number: int
    turn: int
    version: int
    """Of the conversation, when it had been taken."""
    position: int
    duplicate: bool


WRITTEN: Final = "untrusted/private"
"""The label of what a program wrote, whoever lets it."""


def heard(call: Call, conversation: str, text: str, id: str, agent: str = "", *, untrusted: bool = False) -> Post:
    """What somebody said, as the channel `http` brings it in. Raises InvalidData."""
    said = incoming((conversation, call.principal.name, {"text": text, "id": id, "agent": agent}))
    return Post(said.id, said.text, said.agent, said.channel, label=WRITTEN if untrusted else said.label)


async def check_agent(call: Call, name: str) -> None:
    """Raises NotFound unless there is an agent of that name."""
    await agent_stream(call, name)


async def post(call: Call, stream: str, said: Post, key: str | None) -> Posted:
    """Have a message taken, once for its key. Raises Full when there is no room now: the key may be tried again."""
    used = key or ids.random_id()
    again = False
    for attempt in range(AGAIN):
        part = f"{used}\0again {attempt}" if attempt else used
        id = ids.keyed(call.tenant, call.principal.name, stream, f"post\0{part}")
        sent = msgspec.structs.replace(message(call, stream, said), id=id, correlation=correlation(call.request) or id)
        found = await send(call, sent)
        again = again or found.duplicate
        try:
            return _posted(reply(sent, found), found, again)
        except Declined as error:
            if error.reason_code not in _BUSY:
                raise
            if not found.duplicate:
                raise Full(error.message) from None
    raise Full(f"{stream} refused this key {AGAIN} times", hint="use another key")


def _posted(said: dict[str, Any], found: Answer, again: bool) -> Posted:
    return Posted(said["number"], said.get("turn", 0), found.version, found.position, again)


async def began(call: Call, stream: str, posted: Posted) -> Transcript:
    """The conversation from the message on, as it is now."""
    transcript = Transcript()
    transcript.version = max(posted.version - _DECIDED, 0)
    transcript.fold(await call.door.store.read_stream(call.tenant, stream, transcript.version))
    if posted.number in transcript.messages:
        return transcript
    # It was said long before, under another key.
    transcript = Transcript()
    while events := await call.door.store.read_stream(call.tenant, stream, transcript.version, limit=1000):
        transcript.fold(events)
    return transcript


async def answered(
    call: Call, stream: str, posted: Posted, wait: float, enough: Callable[[TurnLine], bool] = attrgetter("over")
) -> tuple[Transcript, TurnLine | None]:
    """The turn that answers a message, in its conversation from there on: once it has ended or is `enough`, or as it is
    after `wait` seconds."""
    end = time.monotonic() + wait
    transcript = await began(call, stream, posted)
    feed = Feed(call, stream, transcript.position)
    nothing = Showing()
    while (turn := transcript.turn_of(posted.number)) is None or not enough(turn):
        events = await feed.events()
        if events is not None:
            transcript.fold(events)
        elif (left := end - time.monotonic()) <= 0:
            break
        else:
            await feed.something(nothing, left)
    return transcript, turn
