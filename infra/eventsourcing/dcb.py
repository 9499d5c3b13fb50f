"""Dynamic consistency boundaries: events with tags, and appends on the condition that no event matches a query.

An application's events are one stream, because they belong to no aggregate. The condition is judged under the lock of
the log, against everything that was committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from eventsourcing.dcb.api import (
    DCBAppendCondition,
    DCBEvent,
    DCBQuery,
    DCBReadResponse,
    DCBRecorder,
    DCBSequencedEvent,
    DCBSubscription,
)
from eventsourcing.dcb.persistence import DCBListenNotifySubscription
from eventsourcing.persistence import IntegrityError, ProgrammingError

from infra.eventsourcing import queries
from infra.eventsourcing.log import WRITTEN, Save
from infra.eventsourcing.names import shared_stream
from infra.eventsourcing.place import Place
from infra.eventsourcing.stored import begin, dcb_of, row_of_dcb

PAGE: Final = 1000


class LogDCBRecorder(DCBRecorder):
    """Events of one application without aggregates. An event's position is its position in the log."""

    def __init__(self, place: Place) -> None:
        self.place = place
        place.thread.call(place.log.retag(place.tenant, place.key))

    def read(
        self, query: DCBQuery | None = None, *, after: int | None = None, limit: int | None = None
    ) -> DCBReadResponse:
        """Events that match, in order. Without a limit `head` is the application's last position at the first moment
        of reading, matching or not, and nothing beyond it is returned."""
        return _Response(self.place, query, after or 0, limit)

    def append(self, events: Sequence[DCBEvent], condition: DCBAppendCondition | None = None) -> int:
        """Write all; returns the last position. Raises IntegrityError when the condition does not hold.

        OperationalError says that the database is away or, with `UnknownOutcomeError`, that it went away during the
        commit: it is then not tried again, because nothing tells a repetition from another decision.
        """
        if not events:
            raise ProgrammingError("nothing to append")
        place = self.place
        write = begin(place.tenant, place.application, {})
        conditions: list[tuple[str, str, int, Sequence[str] | None, Sequence[str] | None]] = []
        if condition is not None:
            items = _items(condition.fail_if_events_match)
            conditions = [(place.tenant, place.key, condition.after or 0, *item) for item in items]
        rows = [row_of_dcb(write, event, n) for n, event in enumerate(events, 1)]
        save = Save([(place.tenant, shared_stream(place.application), None)], rows, (), conditions)
        outcome = place.save(save)
        if outcome.status != WRITTEN:
            raise IntegrityError(condition)
        return outcome.first + len(events) - 1

    def subscribe(self, query: DCBQuery | None = None, *, after: int | None = None) -> DCBSubscription[LogDCBRecorder]:
        """Events that match, as they come."""
        return LogDCBSubscription(self, query, after)


class _Response(DCBReadResponse):
    def __init__(self, place: Place, query: DCBQuery | None, after: int, limit: int | None) -> None:
        self._place = place
        self._items = _items(query or DCBQuery())
        self._last: int | None = None
        self._limited = limit is not None
        self._head, page = (None, []) if limit == 0 else self._page(after, PAGE if limit is None else min(limit, PAGE))
        self._events = islice(self._pages(page), limit)

    @property
    def head(self) -> int | None:
        """The application's last position, or with a limit that of the last event returned so far."""
        return self._last if self._limited else self._head

    def __next__(self) -> DCBSequencedEvent:
        event = next(self._events)
        self._last = event.position
        return event

    def _pages(self, page: list[DCBSequencedEvent]) -> Iterator[DCBSequencedEvent]:
        end = None if self._limited else self._head
        while page:
            for event in page:
                if end is not None and event.position > end:
                    return  # recorded since: it belongs to the next reading
                yield event
            if len(page) < PAGE:
                return
            _, page = self._page(page[-1].position, PAGE)

    def _page(self, after: int, most: int) -> tuple[int | None, list[DCBSequencedEvent]]:
        rows = self._place.fetch(queries.MATCHES, after, most, self._items)
        head: int | None = rows[0][0]
        events = [DCBSequencedEvent(dcb_of(data, meta), position) for _, position, data, meta in rows if position]
        return head, events


class LogDCBSubscription(DCBListenNotifySubscription[LogDCBRecorder]):
    """Events of an application as they are recorded."""

    def __init__(self, recorder: LogDCBRecorder, query: DCBQuery | None, after: int | None) -> None:
        super().__init__(recorder=recorder, query=query, after=after)
        recorder.place.watch(self._has_been_notified.set)

    def stop(self) -> None:
        """End the iteration."""
        super().stop()
        self._recorder.place.unwatch(self._has_been_notified.set)


def _items(query: DCBQuery) -> list[tuple[Any, Any]]:
    """The items of a query, any of which an event must match; without one, everything does."""
    return [(item.types or None, item.tags or None) for item in query.items] or [(None, None)]
