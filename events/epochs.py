"""From data alone: no partition ever had two writers at once (P4).

A claim notes the head of the log, under the lock that orders it with appends. So an event written under an epoch lies
beyond the head at the claim of that epoch, and not beyond the head at the next claim of its partition.
"""

from __future__ import annotations

from collections.abc import Iterable

from events.address import partition_of
from events.envelope import Event
from events.rows import Epoch

UNGUARDED = 0
"""The epoch of events that were guarded by their version alone (imports, foreign libraries)."""


class Reigns:
    """Which positions may have been written under which epoch of which partition."""

    def __init__(self, epochs: Iterable[Epoch]) -> None:
        """`epochs` as `EventStore.epochs` gives them: by partition, then epoch. Read them after the events' head."""
        self._spans: dict[tuple[int, int], tuple[int, int | None]] = {}
        self.faults: list[str] = []
        """What is wrong with the claims themselves."""
        last: Epoch | None = None
        for claim in epochs:
            place = f"partition {claim.partition}, epoch {claim.epoch}"
            if last is None or last.partition != claim.partition:
                last = None
            if claim.epoch != (last.epoch + 1 if last else 1):
                self.faults.append(f"{place} follows {f'epoch {last.epoch}' if last else 'nothing'}")
            if last is not None and claim.position < last.position:
                self.faults.append(f"{place} was claimed at {claim.position}, the one before at {last.position}")
            if last is not None:
                self._spans[last.partition, last.epoch] = (last.position, claim.position)
            self._spans[claim.partition, claim.epoch] = (claim.position, None)
            last = claim

    def fault(self, event: Event) -> str | None:
        """What is wrong with the epoch of an event, or None."""
        if event.epoch == UNGUARDED:
            return None
        partition = partition_of(event.tenant, event.stream)
        where = f"position {event.position} ({event.tenant} {event.stream}) under epoch {event.epoch}"
        span = self._spans.get((partition, event.epoch))
        if span is None:
            return f"{where}, which nobody claimed of partition {partition}"
        after, upto = span
        if event.position <= after:
            return f"{where}, which was claimed only at {after}"
        if upto is not None and event.position > upto:
            return f"{where}, which ended at {upto}: partition {partition} had another owner then"
        return None
