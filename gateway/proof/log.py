"""What must hold of any log, seen event by event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from zlib import crc32

import msgspec

from events import chain
from events.address import PARTITIONS
from events.envelope import Event
from events.store import Epoch
from events.system import Forked
from gateway.proof.check import Check, at
from gateway.proof.recent import BUCKETS, Ledger, Recent
from gateway.proof.reigns import Reigns

EVERYTHING: Final = 1 << 62

LOST = "events were removed or written past the log's append function; what was acknowledged may be gone"
RESTORE = (
    "stop the hosts, keep a copy of the database, and restore the newest backup that `thespis log verify` finds sound; "
    "then compare it with this log by `thespis log export`"
)
TAMPERED = "an event's stored bytes are not the ones that were committed, or an event before it was replaced"
_Head = tuple[int, bytes, int]
"""Version, hash and position of a stream's last event."""
_Known = tuple[int, str, int]
"""Position, stream and version of an event."""


class LogProof:
    """Order, gaplessness, chains, causes before effects; and, given the claims of partitions, one writer at a time.

    With a `window` memory has an end, about 500 B × window: of older events the ids are kept in files, the chain asks
    for what it needs (`needs`, answered by `recall`), and only the order of tells is not held against them. Without,
    everything is kept, about 300 B per event and 250 B per stream. The first event comes at position `after` + 1.
    """

    def __init__(self, window: int = EVERYTHING, epochs: Sequence[Epoch] | None = None, after: int = 0) -> None:
        self._positions = Check("positions are gapless and in order", meaning=LOST, way_out=RESTORE)
        self._versions = Check("versions of every stream are gapless", meaning=LOST, way_out=RESTORE)
        self._chains = Check("the hash chain of every stream is intact", meaning=TAMPERED, way_out=RESTORE)
        self._ids = Check(
            "no event is recorded twice",
            meaning="one decision was written twice, so what it moved was moved twice",
            way_out="look at both with `thespis events show POSITION`, and correct the actor with a message",
        )
        self._causes = Check(
            "every cause comes before what it caused",
            meaning="the events were not committed in this order; a reader saw an effect before its cause",
            way_out=RESTORE,
        )
        self._order = Check(
            "tells of one sender to one receiver were handled in the order decided",
            meaning="a receiver acted on a later tell before an earlier one",
            way_out="look at both with `thespis lineage POSITION`; in an otherwise sound log it is a bug: report it",
        )
        self._reigns = None if epochs is None else Reigns(epochs)
        self._head = after
        self._count = 0
        self._begun = 0
        self._streams: Recent[_Head] = Recent(window)
        self._seen: Recent[_Known] = Recent(window)
        self._heard: Recent[int] = Recent(window)
        self._hashes: dict[str, bytes] | None = {} if window == EVERYTHING else None
        """The hash of every event by its id, where a fork may begin; None: it is asked for."""
        self._recalled: dict[tuple[str, str, int], _Head | None] = {}
        self._ids_seen = Ledger()
        self._closed = False

    def see(self, event: Event) -> None:
        """Look at the next event."""
        self.see_all((event,))

    def see_all(self, events: Iterable[Event]) -> None:
        """Look at the next events; with a `window`, at most that many."""
        link, reigns, hashes, ids = chain.link, self._reigns, self._hashes, self._ids_seen.open
        streams, older_streams = self._streams.young, self._streams.old
        seen, older_seen = self._seen.young, self._seen.old
        for event in events:
            position, version, stream, id, cause = (
                event.position,
                event.version,
                event.stream,
                event.id,
                event.causation,
            )
            key = f"{event.tenant}/{stream}"
            if position != self._head + 1:
                self._positions.fault(f"{at(event)} follows position {self._head}")
            self._head = position
            before, previous, last = streams.get(key) or older_streams.get(key) or self._begins(event)
            if version != before + 1:
                self._versions.fault(f"{at(event)} follows version {before}")
            elif last > position:
                self._versions.fault(f"{at(event)} comes before version {before}, at position {last}")
            if event.data is None:  # pyright: ignore[reportUnnecessaryComparison] - a blob that is not there
                self._chains.fault(f"{at(event)} has no body: its blob is missing")
            elif event.hash != link(
                previous, event.tenant, stream, version, id, event.type, event.schema, cause, event.data
            ):
                self._chains.fault(f"{at(event)} does not continue its chain")
            streams[key] = (version, event.hash, position)
            if reigns is not None and event.epoch:
                reigns.see(crc32(key.encode()) % PARTITIONS, event.epoch, position, event)
            number = hash(id)
            bucket = ids[number % BUCKETS]
            bucket.append(number)
            bucket.append(position)
            caused = seen.get(cause) or older_seen.get(cause)
            if caused is None:
                number = hash(cause)
                bucket = ids[number % BUCKETS]
                bucket.append(number)
                bucket.append(-position)
            elif caused[1] != key and event.type != "Forked":
                self._follow(event, key, caused)
            seen[id] = (position, key, version)
            if hashes is not None:
                hashes[id] = event.hash
            self._count += 1
        for part in (self._streams, self._seen, self._heard, self._ids_seen):
            part.settle()

    def needs(self, events: Iterable[Event]) -> list[tuple[str, str, int]]:
        """(tenant, stream, version) of the events before these that are not remembered, to be told by `recall`.

        These are the next for `see_all`.
        """
        wanted: list[tuple[str, str, int]] = []
        streams, older = self._streams.young, self._streams.old
        here: set[str] = set()
        for event in events:
            key = f"{event.tenant}/{event.stream}"
            if event.version > 1 and key not in here and key not in streams and key not in older:
                wanted.append(_before(event))
            here.add(key)
        return wanted

    def recall(self, found: dict[tuple[str, str, int], tuple[bytes, int]], wanted: list[tuple[str, str, int]]) -> None:
        """What was asked for: hash and position by (tenant, stream, version); what is missing is not there."""
        self._recalled = {key: (key[2], *found[key]) if key in found else None for key in wanted}

    def _begins(self, event: Event) -> _Head:
        """The end of what a stream goes on from that is not in memory: nothing, an earlier part, or a fork's source."""
        if event.version == 1:
            self._begun += 1
            return 0, chain.GENESIS, 0
        found = self._recalled.get(_before(event))
        if found is not None:
            self._begun += event.type == "Forked"
            return found
        self._begun += 1
        if event.type == "Forked" and self._hashes is not None:
            prefix = self._hashes.get(event.causation)
            if prefix is not None:
                return msgspec.json.decode(event.data, type=Forked).version, prefix, 0
        return 0, chain.GENESIS, 0

    def _follow(self, event: Event, key: str, cause: _Known) -> None:
        _, sender, version = cause
        pair = f"{sender}\0{key}"
        heard = self._heard.young.get(pair) or self._heard.old.get(pair) or 0
        self._order.require(version >= heard, f"{at(event)} follows from version {version} of {sender}, "
                            f"after version {heard} was heard")  # fmt: skip
        self._heard.young[pair] = max(heard, version)

    def checks(self) -> list[Check]:
        """The statements, each with what was found."""
        if not self._closed:
            self._close()
        events, streams = f"{self._count:,} events", f"{self._begun:,} streams"
        self._positions.over = self._ids.over = self._causes.over = events
        self._versions.over = self._chains.over = streams
        forgot = self._seen.forgotten or self._heard.forgotten
        self._order.over = (
            f"causes up to {self._seen.window:,} events back"
            if forgot
            else f"{len(self._heard.young) + len(self._heard.old):,} pairs of actors"
        )
        checks = [self._positions, self._versions, self._chains, self._ids, self._causes, self._order]
        return checks if self._reigns is None else [*checks, self._reigns.check()]

    def _close(self) -> None:
        self._closed = True
        for pairs in self._ids_seen.buckets():
            first: dict[int, int] = {}
            for number, position in pairs:
                if position > 0 and first.setdefault(number, position) != position:
                    self._ids.fault(f"position {position} has the id of the event at position {first[number]}")
            for number, position in pairs:
                if position < 0 and (cause := first.get(number, 0)) > -position:  # equal: it began by itself
                    self._causes.fault(f"position {-position} was caused by the later position {cause}")


def _before(event: Event) -> tuple[str, str, int]:
    """Where a stream's event before this one is; a fork begins after its source's."""
    if event.type == "Forked":
        fork = msgspec.json.decode(event.data, type=Forked)
        return event.tenant, fork.source, fork.version
    return event.tenant, event.stream, event.version - 1
