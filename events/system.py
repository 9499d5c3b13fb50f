"""Events the kernel itself records in an actor's stream. User code never sees them in `evolve`."""

from __future__ import annotations

import msgspec


class ActorParked(msgspec.Struct, frozen=True):
    """The actor stopped handling messages until a person decides; `message` is the one it could not handle."""

    message: str
    message_type: str
    reason: str
    error: str = ""
    attempts: int = 1


class ActorResumed(msgspec.Struct, frozen=True):
    """A person resumed the actor; `skipped` names the message that is not to be tried again."""

    by: str
    reason: str = ""
    skipped: str = ""


class MessageRefused(msgspec.Struct, frozen=True):
    """The actor refused a tell; its sender was told `Refused`."""

    message: str
    message_type: str
    code: str
    reason: str


class MessageHandled(msgspec.Struct, frozen=True):
    """The actor handled a message without an event of its own, but told or asked something of others."""

    message: str
    message_type: str


class DeadLettered(msgspec.Struct, frozen=True):
    """A message could not be delivered and never will be: its kind is gone, or its body cannot be read."""

    message: str
    message_type: str
    to: str
    reason: str


class DeadLetterResolved(msgspec.Struct, frozen=True):
    """A dead letter was dealt with: `retried` (its message was sent again and taken) or `dismissed`, by a person.

    Stands in the tenant's `feed/dead-letters`. `letter` is the id of the `DeadLettered` event, `stream` and `message`
    are where that stands and what it is about.
    """

    letter: str
    stream: str
    message: str
    status: str
    by: str
    reason: str = ""


class EffectUnknown(msgspec.Struct, frozen=True):
    """Nobody knows whether the effect happened: the host was lost between the call and its record."""

    effect: str
    kind: str
    attempt: int
    reason: str


class EffectResolved(msgspec.Struct, frozen=True):
    """An unknown effect became known, by a late outcome, a reconciler or a person."""

    effect: str
    kind: str
    status: str
    by: str
    reason: str = ""


class Forked(msgspec.Struct, frozen=True):
    """This stream continues another one's history, which it references up to and with `version`."""

    source: str
    version: int
    by: str = ""


class ForkMadeLive(msgspec.Struct, frozen=True):
    """From here on the fork's effects and tells are let out."""

    by: str = ""


class SubjectErased(msgspec.Struct, frozen=True):
    """A receipt: what was done when a subject's keys were destroyed. Whose they were is not said.

    `keys` are the ids by which sealed values name them. `streams` are all in which something was sealed with them;
    `events` … `effects` count what nobody can read any more there. `projections` were folded anew; `left` says in words
    what could not be done from here.
    """

    erasure: str
    keys: list[str]
    by: str
    reason: str
    at: int
    streams: list[str]
    events: int = 0
    messages: int = 0
    mails: int = 0
    timers: int = 0
    effects: int = 0
    snapshots: int = 0
    states: int = 0
    projections: list[str] = []
    left: list[str] = []


class Routed(msgspec.Struct, frozen=True):
    """In a router's own stream: facts up to and with position `upto` were sent to those who subscribed."""

    upto: int
    tells: int


class Followed(msgspec.Struct, frozen=True):
    """In a follower's own stream: all up to and with position `upto` was looked at, and `tells` found who waited.

    `oldest` is the position of the first wait that was open then; 0 when there was none.
    """

    upto: int
    oldest: int
    tells: int


class ProjectionSwitched(msgspec.Struct, frozen=True):
    """In a projection's own stream: from `position` on its readers see build `to_build` instead of `from_build`.

    Both stood at that position, and of `compared` rows sampled there `differing` were not the same.
    """

    name: str
    from_build: int
    from_version: int
    to_build: int
    to_version: int
    position: int
    compared: int
    differing: int
    by: str
    reason: str = ""


KERNEL_EVENTS = [
    ActorParked,
    ActorResumed,
    MessageRefused,
    MessageHandled,
    EffectUnknown,
    EffectResolved,
    Forked,
    ForkMadeLive,
]
"""What may stand in any actor's stream; the kernel folds it, user code never sees it."""

SYSTEM_EVENTS = [*KERNEL_EVENTS, DeadLettered, DeadLetterResolved, Routed, Followed, ProjectionSwitched, SubjectErased]
"""Every event type that is not the users': no one from outside may publish one."""
