"""What `decide` may return besides events, and the messages the kernel sends back."""

from __future__ import annotations

from typing import Any

import msgspec


class Tell(msgspec.Struct, frozen=True):
    """Send a message to another actor: durable, in order, handled once. `data` is a struct of a message type.

    `type` and `schema` are the struct's name and 1 unless given.
    """

    to: str
    data: Any
    type: str | None = None
    schema: int = 1


class Ask(msgspec.Struct, frozen=True):
    """A tell that wants an answer. The actor does not wait: `Replied`, `TellRefused` or, after `timeout` seconds,
    `TimedOut` comes back as a message with the same `ref`."""

    to: str
    data: Any
    ref: str
    timeout: float | None = None
    type: str | None = None
    schema: int = 1


class Reply(msgspec.Struct, frozen=True):
    """The answer to whoever asked, sent after the commit. `data` is anything JSON-ready."""

    data: Any = None


class Effect(msgspec.Struct, frozen=True):
    """Ask something of the outside world; the `Outcome` comes back as a message with the same `ref`.

    `kind` names a registered EffectKind and `data` is its request. `key` goes along with every attempt, for services
    that know idempotency keys; by default it is the effect's own id.
    """

    kind: str
    data: Any
    ref: str = ""
    key: str | None = None


class Schedule(msgspec.Struct, frozen=True):
    """Send `data` to myself `after` seconds, or `at` a time (microseconds). The same `name` again replaces it."""

    name: str
    data: Any
    after: float | None = None
    at: int | None = None
    type: str | None = None


class Cancel(msgspec.Struct, frozen=True):
    """Drop the timer of that name; nothing happens when there is none."""

    name: str


class Outcome(msgspec.Struct, frozen=True):
    """What became of an effect. `status` is succeeded, failed or unknown; `result` as the performer returned it."""

    effect: str
    kind: str
    ref: str
    status: str
    result: Any = None
    error: str = ""


class Replied(msgspec.Struct, frozen=True):
    """The answer to an `Ask`."""

    ref: str
    by: str
    data: Any = None


class TellRefused(msgspec.Struct, frozen=True):
    """A tell or an ask was refused by its receiver, for good."""

    by: str
    message: str
    message_type: str
    code: str
    reason: str
    ref: str = ""


class TimedOut(msgspec.Struct, frozen=True):
    """No answer to an `Ask` came in time; one may still come."""

    ref: str
    to: str
