"""The library's recorders over the log. They may be called from any thread, by many at once."""

from __future__ import annotations

from collections.abc import Sequence
from time import sleep
from typing import Any, Final
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    Notification,
    OperationalError,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)

from events.errors import InvalidName
from infra.eventsourcing import queries
from infra.eventsourcing.errors import UnknownOutcomeError
from infra.eventsourcing.log import CONFLICT, GAP, TRACKED, WRITTEN, Outcome, Save
from infra.eventsourcing.names import application_key, stream_of, type_of
from infra.eventsourcing.place import ATTEMPTS, FAR, PAUSE, LogRecorder, patiently
from infra.eventsourcing.stored import Write, begin, notification_of, row_of, stored_of, transaction_of
from infra.eventsourcing.subscription import LogSubscription


class LogAggregateRecorder(LogRecorder, AggregateRecorder):
    """Events of aggregates, each in a stream of its own."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Write all or none. Raises IntegrityError when one of these versions is there, or a version is left out."""
        self._insert(stored_events, kwargs)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Events of one aggregate in order of their version."""
        rows = self._rows(originator_id, gt, lte, desc, limit)
        return [stored_of(data, meta) for _, data, meta in rows]

    def _rows(
        self, originator: UUID | str, gt: int | None, lte: int | None, desc: bool = False, limit: int | None = None
    ) -> list[Any]:
        place = self.place
        stream = _stream(place.application, originator)
        query = queries.STREAM_BACKWARDS if desc else queries.STREAM
        after, upto = -FAR if gt is None else gt, FAR if lte is None else lte
        return patiently(lambda: place.thread.call(place.log.fetch(query, place.tenant, stream, after, upto, limit)))

    def _insert(self, stored_events: Sequence[StoredEvent], given: dict[str, Any]) -> list[int]:
        """Write, and give the positions. Nothing to write is nothing to do."""
        tracking: Tracking | None = given.get("tracking")
        if not stored_events and tracking is None:
            return []
        place = self.place
        write = begin(place.tenant, place.application, given)
        save = _save(write, stored_events, tracking)
        outcome = self._written(save, write, stored_events, tracking)
        if outcome.status == WRITTEN:
            return list(range(outcome.first, outcome.first + len(stored_events)))
        raise IntegrityError(_REASONS[outcome.status].format(stored_events=stored_events, tracking=tracking))

    def _written(
        self, save: Save, write: Write, stored_events: Sequence[StoredEvent], tracking: Tracking | None
    ) -> Outcome:
        """Write, again while the database is away. The guards make a repetition harmless; if one fails after an
        attempt whose outcome was not known, what is recorded says whose it is.
        """
        open_outcome = False
        for attempt in range(ATTEMPTS):
            try:
                outcome = self.place.save(save)
            except OperationalError as error:
                open_outcome = open_outcome or isinstance(error, UnknownOutcomeError)
                if attempt + 1 == ATTEMPTS:
                    raise
                sleep(PAUSE)
                continue
            if open_outcome and outcome.status in (CONFLICT, TRACKED):
                return self._ours(write, stored_events, tracking) or outcome
            return outcome
        raise AssertionError("unreachable")

    def _ours(self, write: Write, stored_events: Sequence[StoredEvent], tracking: Tracking | None) -> Outcome | None:
        """The outcome when it was this very transaction that is recorded."""
        if stored_events:
            first = stored_events[0]
            version = first.originator_version
            rows = self._rows(first.originator_id, version - 1, version)
            return Outcome(WRITTEN, rows[0][0]) if rows and transaction_of(rows[0][2]) == write.transaction else None
        assert tracking is not None
        rows = self.place.fetch(queries.TRACKED, application_key(tracking.application_name))
        return Outcome(WRITTEN, 0) if rows and rows[0][1] == write.transaction else None


_REASONS: Final = {
    CONFLICT: "already recorded: {stored_events}",
    TRACKED: "already tracked: {tracking}",
    GAP: "a version before the first of these is missing: {stored_events}",
}


def _save(write: Write, stored_events: Sequence[StoredEvent], tracking: Tracking | None) -> Save:
    streams: dict[str, tuple[int, int]] = {}
    """Stream → its number in the save, and the version that comes next."""
    wanted: list[tuple[str, str, int | None]] = []
    rows: list[tuple[Any, ...]] = []
    for stored in stored_events:
        name = _stream(write.application, stored.originator_id)
        version = stored.originator_version
        number, following = streams.get(name, (0, version))
        if number == 0:
            number = len(streams) + 1
            wanted.append((write.tenant, name, version))
        if version != following:
            raise IntegrityError(f"events of {stored.originator_id} do not follow each other: {stored_events}")
        streams[name] = number, version + 1
        rows.append(row_of(write, stored, name, number))
    tracked: list[tuple[str, str, str, int, str]] = []
    if tracking is not None:
        tracked.append(_tracked(write, tracking))
    return Save(wanted, rows, tracked)


def _tracked(write: Write, tracking: Tracking) -> tuple[str, str, str, int, str]:
    upstream = application_key(tracking.application_name)
    return (write.tenant, application_key(write.application), upstream, tracking.notification_id, write.transaction)


def _stream(application: str, originator: UUID | str) -> str:
    try:
        return stream_of(application, originator)
    except InvalidName as error:
        raise ProgrammingError(error.message) from error


class LogApplicationRecorder(LogAggregateRecorder, ApplicationRecorder):
    """Events of aggregates, and all of an application in the order of the log. A notification's id is its position:
    later events have greater ones, and between two events of one application there may be events of others.
    """

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """As its parent; returns the notification ids. `causation`, `correlation`, `trace` say what it comes from."""
        return self._insert(stored_events, kwargs)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """The next notifications from `start`, up to and with `stop`, of these topics only if given."""
        first = 0 if start is None else start if inclusive_of_start else start + 1
        last = FAR if stop is None else stop
        if topics:
            names = [type_of(topic) for topic in topics]
            rows = self.place.fetch(queries.NOTIFICATIONS_OF, first, last, limit, names, list(topics))
        else:
            rows = self.place.fetch(queries.NOTIFICATIONS, first, last, limit)
        return [notification_of(position, data, meta) for position, data, meta in rows]

    def max_notification_id(self) -> int | None:
        """The position of the application's last event."""
        rows = self.place.fetch(queries.LAST)
        return rows[0][0] if rows else None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Notifications as they come. Misses none: positions are given in the order of commits."""
        return LogSubscription(self, gt, topics)


class LogTrackingRecorder(LogRecorder, TrackingRecorder):
    """How far an application has followed others.

    A subclass keeps a read model of its own exactly as far as it is tracked: `insert_with(tracking, statements)` runs
    SQL in the transaction that moves the tracking, `select(statement, …)` reads.
    """

    def insert_tracking(self, tracking: Tracking) -> None:
        """Remember it. Raises IntegrityError unless it is greater than what is remembered."""
        self.insert_with(tracking, ())

    def insert_with(self, tracking: Tracking, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Remember it, and run (SQL, arguments) in the same transaction; parameters are `$1`, `$2`, …

        Raises IntegrityError, and does nothing, when it is tracked already. An outcome that is not known raises
        OperationalError: `max_tracking_id` tells.
        """
        place = self.place
        write = begin(place.tenant, place.application, {})
        claim = (queries.TRACK, _tracked(write, tracking))
        if not place.thread.call(place.log.together([claim, *statements], demanding=True)):
            raise IntegrityError(_REASONS[TRACKED].format(tracking=tracking))

    def run(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Run (SQL, arguments) in a transaction of their own: to make the tables of a read model, say."""
        self.place.thread.call(self.place.log.together(statements))

    def select(self, statement: str, *args: Any) -> list[Any]:
        """Rows of a query of one's own."""
        return patiently(lambda: self.place.thread.call(self.place.log.fetch(statement, *args)))

    def max_tracking_id(self, application_name: str) -> int | None:
        """How far the named application was followed."""
        rows = self.place.fetch(queries.TRACKED, application_key(application_name))
        return rows[0][0] if rows else None


class LogProcessRecorder(LogTrackingRecorder, LogApplicationRecorder, ProcessRecorder):
    """Both: what an application records because of another's event is one transaction with having followed it."""
