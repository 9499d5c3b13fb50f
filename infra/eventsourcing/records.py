"""Records of aggregates that are not history, such as snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import AggregateRecorder, StoredEvent

from infra.eventsourcing import queries
from infra.eventsourcing.place import FAR, LogRecorder, Place


class LogRecordsRecorder(LogRecorder, AggregateRecorder):
    """Records of aggregates that are not events, such as snapshots: beside the log, with any versions."""

    def __init__(self, place: Place, purpose: str) -> None:
        super().__init__(place)
        self._purpose = purpose

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Write all or none. Raises IntegrityError when one of these versions is there."""
        if not stored_events:
            return None
        place = self.place
        columns = (
            [str(s.originator_id) for s in stored_events],
            [s.originator_version for s in stored_events],
            [s.topic for s in stored_events],
            [s.state for s in stored_events],
            [isinstance(s.originator_id, UUID) for s in stored_events],
        )
        statement = (queries.RECORD, (place.tenant, place.key, self._purpose, *columns))
        place.thread.call(place.log.together([statement]))
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
        """Records of one aggregate in order of their version."""
        query = queries.RECORDS_BACKWARDS if desc else queries.RECORDS
        after, upto = -FAR if gt is None else gt, FAR if lte is None else lte
        text = str(originator_id)
        rows = self.place.fetch(query, self._purpose, text, after, upto, limit)
        return [
            StoredEvent(UUID(text) if uuid else text, version, topic, state) for version, topic, state, uuid in rows
        ]
