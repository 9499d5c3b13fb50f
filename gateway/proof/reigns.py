"""One writer at a time: every event lies within the reign of its epoch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from events.envelope import Event
from events.store import Epoch
from gateway.proof.check import Check, at


class Reigns:
    """The claims of partitions. An epoch reigns beyond the head its claim met, up to the head the next claim met."""

    def __init__(self, epochs: Sequence[Epoch]) -> None:
        self._check = Check(
            "no two epochs of a partition overlap",
            f"{len(epochs):,} claims",
            meaning="two hosts wrote for the same actors at the same time, or the record of claims was changed",
            way_out="stop all hosts but one, compare `thespis.epochs` with the events named, and report it",
        )
        self._spans: dict[tuple[int, int], tuple[int, int | None]] = {}
        self._events = 0
        ordered = sorted(epochs, key=lambda e: (e.partition, e.epoch))
        for one, following in zip_longest(ordered, ordered[1:]):
            ends = following if following is not None and following.partition == one.partition else None
            if ends is not None:
                self._pair(one, ends)
            self._spans[one.partition, one.epoch] = (one.position, None if ends is None else ends.position)

    def _pair(self, one: Epoch, following: Epoch) -> None:
        self._check.require(
            following.position >= one.position and following.claimed_at >= one.claimed_at,
            f"partition {one.partition}: epoch {following.epoch} was claimed at position {following.position}, "
            f"before epoch {one.epoch} at position {one.position}",
        )
        self._check.require(
            following.epoch == one.epoch + 1,
            f"partition {one.partition}: between the epochs {one.epoch} and {following.epoch} a claim is missing",
        )

    def see(self, partition: int, epoch: int, position: int, event: Event) -> None:
        """Look at an event written under an epoch."""
        self._events += 1
        span = self._spans.get((partition, epoch))
        if span is not None and span[0] < position and (span[1] is None or position <= span[1]):
            return
        written = f"{at(event)} was written under epoch {epoch} of partition {partition}"
        if span is None:
            self._check.fault(f"{written}, which it never had")
        elif position <= span[0]:
            self._check.fault(f"{written}, claimed only after position {span[0]}")
        else:
            self._check.fault(f"{written}, which ended at position {span[1]}")

    def check(self) -> Check:
        """What was found."""
        self._check.over = f"{len(self._spans):,} claims, {self._events:,} events"
        return self._check
