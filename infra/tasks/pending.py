"""A call that is out, as the host that handed it out knows it."""

from __future__ import annotations

import asyncio
from typing import Any

from actors.core.kind import Attempt
from actors.workflows.tasks import TaskCall
from events.address import partition_of
from infra.nats import tasks as queue


class Unsure(OSError):
    """Nobody knows what became of an irreversible call. The kernel records it as unknown."""


class Pending:
    """A call that is out."""

    __slots__ = (
        "began",
        "call",
        "cancelled",
        "claimed",
        "done",
        "effect",
        "effect_class",
        "halt_by",
        "partition",
        "place",
        "publishing",
        "queue",
        "refused",
        "sequence",
        "since",
        "tenant",
        "turn",
        "worker",
    )  # fmt: skip

    def __init__(self, call: TaskCall, attempt: Attempt, effect_class: str, place: str, name: str, now: float) -> None:
        self.call = call
        self.effect = attempt.effect
        self.effect_class = effect_class
        self.tenant = attempt.tenant
        self.partition = partition_of(attempt.tenant, attempt.actor)
        self.place = place
        self.queue = name
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.turn: str | None = None
        """None: handed out by an owner before us; the first turn we hear of is it."""
        self.worker = ""
        self.claimed = False
        self.sequence: int | None = None
        """Its place in the stream; 0: it is there, we do not know where; None: it is not."""
        self.publishing = False
        self.began = now
        self.since = now
        """Since when it is certain to be in the queue or with a worker."""
        self.refused = 0
        """Publications in a row that were refused because it is in the queue, though nobody takes it."""
        self.cancelled = False
        self.halt_by = 0.0

    @property
    def name(self) -> tuple[str, str, str, int]:
        """(tenant, run, step, attempt): what a stop names it by."""
        return self.tenant, self.call.run, self.call.step, self.call.attempt

    @property
    def lane(self) -> tuple[str, str]:
        """(queue, token of its labels): the consumer it waits at."""
        return self.queue, queue.labels_token(self.call.labels)
