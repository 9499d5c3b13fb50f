"""Where a recorder works: one application's part of one log, reached from any thread."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import sleep
from typing import Any, Final, TypeVar

import msgspec
from eventsourcing.persistence import InterfaceError, OperationalError

from infra.eventsourcing.log import Log, Outcome, Save
from infra.eventsourcing.names import application_key
from infra.eventsourcing.thread import LoopThread

T = TypeVar("T")

ATTEMPTS: Final = 10
PAUSE: Final = 0.2
"""As the library's own recorder does: ten attempts, 0.2 s between them, while the database is away."""

FAR: Final = 2**61
"""Beyond every version and position."""


class Place(msgspec.Struct, frozen=True):
    """Which application's part of which log a recorder stands for."""

    log: Log
    thread: LoopThread
    tenant: str
    application: str

    @property
    def key(self) -> str:
        """What the application's streams begin with."""
        return application_key(self.application)

    def fetch(self, query: str, *args: Any) -> list[Any]:
        """Rows of a query about this application, whose first arguments are tenant and application."""
        return patiently(lambda: self.thread.call(self.log.fetch(query, self.tenant, self.key, *args)))

    def save(self, save: Save) -> Outcome:
        """Write with the next commit. Raises UnknownOutcomeError, OperationalError, DataError."""
        return self.thread.post(lambda future: self.log.submit(save, future))

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` when there may be new events, from the thread of the log."""
        self.thread.call(self.log.watch(wake))

    def unwatch(self, wake: Callable[[], None]) -> None:
        """No more."""
        with suppress(InterfaceError):  # closed already
            self.thread.call(self.log.unwatch(wake))


def patiently(work: Callable[[], T]) -> T:
    """Do it, and again while the database is away. For what may be repeated."""
    for _ in range(ATTEMPTS - 1):
        try:
            return work()
        except OperationalError:
            sleep(PAUSE)
    return work()


class LogRecorder:
    """What every recorder here has: its place."""

    def __init__(self, place: Place) -> None:
        self.place = place
