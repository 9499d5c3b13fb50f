"""Subscriptions: the library's own pulling thread, woken by writes here, and soon after those of other processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eventsourcing.persistence import ListenNotifySubscription

if TYPE_CHECKING:
    from infra.eventsourcing.recorders import LogApplicationRecorder


class LogSubscription(ListenNotifySubscription["LogApplicationRecorder"]):
    """Notifications of an application as they are recorded."""

    def __init__(self, recorder: LogApplicationRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        recorder.place.watch(self._has_been_notified.set)

    def stop(self) -> None:
        """End the iteration."""
        super().stop()
        self._recorder.place.unwatch(self._has_been_notified.set)
