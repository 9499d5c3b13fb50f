"""An actor in memory: a few slots, no task, no queue until something waits."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from actors.core.kind import Kind
from actors.core.port import Done
from events.chain import GENESIS
from events.envelope import Message
from events.store import EffectChange, MailKey
from events.system import ActorParked


class Work(msgspec.Struct, eq=False):
    """A message on its way to an actor, with the row that its append consumes and whom to tell when it is done."""

    message: Message
    done: Done | None = None
    mail: MailKey | None = None
    timer: tuple[str, str] | None = None
    change: EffectChange | None = None
    note: Any = None
    """A system event recorded before the decision, or instead of one when the message has no type."""
    attempts: int = 0
    conflicts: int = 0
    solo: bool = False
    """Decide this one in an append of its own: the batch it was in was not written."""
    uncertain: bool = False
    """The answer to an append with this one was lost: it may have been handled."""


class Cell:
    """One activated actor. `busy` while an append is in flight; `state` then already includes what it will write."""

    __slots__ = (
        "address",
        "backlog",
        "busy",
        "hash",
        "hashed",
        "kind",
        "loaded",
        "parked",
        "partition",
        "queue",
        "ready",
        "seen",
        "skip",
        "snapped",
        "state",
        "tenant",
        "uncertain",
        "used",
        "version",
        "withheld",
    )

    def __init__(self, tenant: str, address: str, kind: Kind, partition: int) -> None:
        self.tenant = tenant
        self.address = address
        self.kind = kind
        self.partition = partition
        self.version = 0
        self.hash = GENESIS
        self.state: Any = None
        self.queue: deque[Work] | None = None
        self.loaded = False
        self.busy = False
        self.ready = False
        """Waits in the host's run queue."""
        self.uncertain = False
        """The answer to an append was lost: it may have been written."""
        self.parked: ActorParked | None = None
        self.withheld = False
        self.backlog: MailKey | None = None
        """The last tell taken into memory while more of them wait in the store only; None: all are here."""
        self.seen: MailKey | None = None
        """The newest tell known to wait for this actor, while there is a backlog."""
        self.skip = ""
        """The id of a message an operator decided to skip."""
        self.snapped = 0
        self.hashed = 0
        self.used = 0.0

    def unload(self) -> None:
        """Forget the state; the next message folds it again from the log."""
        self.loaded = False
        self.state = None
