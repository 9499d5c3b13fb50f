"""A read model kept with tracking, as a user of the library writes one over this log."""

from __future__ import annotations

from typing import Any

from eventsourcing.persistence import Tracking
from eventsourcing.tests.projection import EventCountersView

from infra.eventsourcing.recorders import LogTrackingRecorder

TABLE = "create table if not exists public.event_counters (name text primary key, count bigint not null)"
COUNT = """insert into public.event_counters values ($1, 1)
 on conflict (name) do update set count = event_counters.count + 1"""


class EventCounters(LogTrackingRecorder, EventCountersView):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.run([(TABLE, ())])

    def get_created_event_counter(self) -> int:
        return self._count("created")

    def get_subsequent_event_counter(self) -> int:
        return self._count("subsequent")

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        self.insert_with(tracking, [(COUNT, ("created",))])

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        self.insert_with(tracking, [(COUNT, ("subsequent",))])

    def _count(self, name: str) -> int:
        rows = self.select("select count from public.event_counters where name = $1", name)
        return rows[0][0] if rows else 0
