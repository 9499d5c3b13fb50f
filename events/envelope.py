"""What travels: messages to actors, and events as the log records them."""

from __future__ import annotations

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, gc=False):
    """One recorded event, in the order of the log's columns.

    `position` is its gapless place in the log, `version` its gapless place in its stream (from 1). `id` is a UUIDv7
    for what an actor here decided, and `source id` (a space between) for a CloudEvent from outside, so that it is
    unique and both attributes can be told apart again. `data` is JSON. `causation` names the event that led here, or
    the message when it came from outside; `correlation` what started it all. `recorded_at` is microseconds since 1970
    (UTC). `meta` is a JSON object with labels and the attributes a foreign CloudEvent brought along (`time`,
    `subject`, `dataschema`, extensions). `hash` chains the stream, see `events.chain`.
    """

    position: int
    tenant: str
    stream: str
    version: int
    id: str
    type: str
    schema: int
    data: bytes
    causation: str
    correlation: str
    epoch: int
    recorded_at: int
    trace: str | None
    meta: bytes | None
    hash: bytes


class Raw(msgspec.Struct, frozen=True):
    """An event or message of a type nobody registered, kept as it came: nothing is lost by not being understood.

    Returned by `decide`, it is recorded as an event of that type; `id` and `meta` are then taken as given.
    """

    type: str
    data: bytes
    schema: int = 1
    id: str | None = None
    meta: bytes | None = None


class Message(msgspec.Struct, frozen=True):
    """A request to an actor, as `decide` sees it: everything a decision may depend on besides the state.

    `data` is the typed body (`Raw` when its type is not registered with the receiver), `body` its JSON. `sender` is an
    address, or a principal such as `user:ada`. `time` (microseconds since 1970, UTC) is the only clock a decision has;
    `id` the only source of new ids. `digest` tells another body under the same id. `deadline` is when the asker stops
    waiting, or None.
    """

    id: str
    type: str
    to: str
    tenant: str
    body: bytes
    sender: str
    time: int
    causation: str
    correlation: str
    data: Any = None
    schema: int = 1
    digest: bytes = b""
    trace: str | None = None
    meta: bytes | None = None
    deadline: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """What came of a message, sent only after its commit and repeated to every repetition.

    `outcome` is `handled`, `refused` or `skipped`; `data` the JSON the actor replied with, if any (for a refusal an
    object with `code` and `reason`); `position` the last position of the log the decision wrote (the head at the time
    if it wrote none), `version` the stream's version after it.
    """

    outcome: str
    position: int
    version: int
    data: bytes | None = None
    duplicate: bool = False
