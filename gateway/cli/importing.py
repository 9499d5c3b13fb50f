"""Reading an export into an empty log: checked whole before the first event is written, then written in bulk.

Positions, versions, ids, times and hashes come out as they went in (but the first event of a fork is recorded anew).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from events.address import check_tenant, check_type, partition_of, split
from events.chain import GENESIS, link
from events.envelope import Event
from events.errors import Conflict, Corrupt, InvalidData, ThespisError
from events.store import Append, EventStore, NewEvent, Status
from events.system import Forked
from gateway.cli.exporting import End, from_line

BATCH: Final = 5000
"""Events in one transaction, at most."""

_forked = msgspec.json.Decoder(Forked).decode


class Streams:
    """What an export has said so far: the end of every stream, and the hashes a fork may begin from."""

    def __init__(self) -> None:
        self.position = 0
        self._ends: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._hashes: dict[tuple[str, str], bytearray] = {}
        self._forks: dict[tuple[str, str], tuple[str, int]] = {}

    def check(self, event: Event) -> tuple[str, int] | None:
        """Hold an event against those before it; for the first one of a fork, (source, version) it continues.

        Raises InvalidData saying what does not fit.
        """
        self.position += 1
        if event.position != self.position:
            raise InvalidData(f"position {event.position} where {self.position} is due")
        check_tenant(event.tenant)
        split(event.stream)
        check_type(event.type)
        key = (event.tenant, event.stream)
        end = self._ends.get(key)
        fork = None
        if end is None and event.version > 1:
            fork = self._fork(event)
            end = (fork[1], self._hash(event.tenant, *fork))
            self._forks[key] = fork
        version, previous = end or (0, GENESIS)
        if event.version != version + 1:
            raise InvalidData(f"{event.stream} has version {event.version} where {version + 1} is due")
        found = link(
            previous, event.tenant, event.stream, event.version, event.id, event.type, event.schema, event.causation,
            event.data,
        )  # fmt: skip
        if found != event.hash:
            raise InvalidData(f"{event.stream} version {event.version} does not follow from what is before it (hash)")
        self._ends[key] = (event.version, event.hash)
        self._hashes.setdefault(key, bytearray()).extend(event.hash)
        return fork

    def _fork(self, event: Event) -> tuple[str, int]:
        where = f"{event.stream} begins at version {event.version}"
        if event.type != Forked.__name__:
            raise InvalidData(f"{where}, but not as a fork")
        try:
            forked = _forked(event.data)
        except msgspec.MsgspecError as error:
            raise InvalidData(f"{where}, but its Forked event cannot be read: {error}") from None
        return forked.source, forked.version

    def _hash(self, tenant: str, source: str, version: int) -> bytes:
        """The hash of a version, through the forks the stream may itself come from."""
        while (tenant, source) in self._forks and version <= self._forks[tenant, source][1]:
            source = self._forks[tenant, source][0]
        first = self._forks.get((tenant, source), ("", 0))[1]
        hashes = self._hashes.get((tenant, source), b"")
        place = (version - first - 1) * len(GENESIS)
        if not 0 <= place < len(hashes):
            raise InvalidData(f"a fork begins at {source} version {version}, which is not there")
        return bytes(hashes[place : place + len(GENESIS)])


def check(lines: Iterable[bytes], advance: Callable[[int], None] = lambda _events: None) -> int:
    """Look through a whole export; returns its last position. Raises InvalidData naming the line."""
    streams = Streams()
    ended = False
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            if ended:
                raise InvalidData("there is more after the end")
            found = from_line(line)
            if isinstance(found, End):
                ended = True
                if (found.end, found.events) != (streams.position, streams.position):
                    raise InvalidData(f"the end says {found.events} events, there are {streams.position} before it")
            else:
                streams.check(found)
        except ThespisError as error:
            raise InvalidData(
                f"line {number}: {error.message}", hint="nothing was imported; export again, or restore the file"
            ) from None
        advance(1)
    if not ended:
        raise InvalidData(
            f"the export breaks off after line {number}", hint="nothing was imported; let `thespis log export` finish"
        )
    return streams.position


async def write(
    store: EventStore, lines: Iterable[bytes], *, after: int = 0, advance: Callable[[int], None] = lambda _events: None
) -> int:
    """Write a checked export into the log, from the position after `after` on; returns the last position.

    Raises Conflict when somebody else writes to the log meanwhile.
    """
    streams = Streams()
    for batch in _batches(_events(lines, streams, after)):
        await _write(store, batch)
        advance(sum(len(append.events) for append in batch))
    return streams.position


async def resumable(store: EventStore, lines: Iterable[bytes], head: int) -> bool:
    """Whether the log, which is not empty, is exactly the beginning of this export."""
    last = (await store.read(head - 1, 1))[0]
    for number, line in enumerate(lines, 1):
        if number == head:
            found = from_line(line)
            return isinstance(found, Event) and (found.id, found.hash, found.stream) == (
                last.id,
                last.hash,
                last.stream,
            )
    return False


def _events(lines: Iterable[bytes], streams: Streams, after: int) -> Iterator[tuple[Event, tuple[str, int] | None]]:
    for line in lines:
        found = from_line(line)
        if isinstance(found, End):
            return
        fork = streams.check(found)
        if found.position > after:
            yield found, fork


def _batches(events: Iterable[tuple[Event, tuple[str, int] | None]]) -> Iterator[list[Append]]:
    """Appends whose events are in order of position: neighbours of one stream together, a stream once in a batch."""
    batch: dict[tuple[str, str], Append] = {}
    run: list[NewEvent] = []
    last: tuple[str, str] | None = None
    size = 0
    for event, fork in events:
        key = (event.tenant, event.stream)
        if batch and (size >= BATCH or fork or (key in batch and key != last)):
            yield list(batch.values())
            batch, last, size = {}, None, 0
        new = NewEvent(
            event.id, event.type, event.schema, event.data, event.causation, event.correlation, event.hash,
            event.trace, event.meta, None if fork else event.recorded_at,
        )  # fmt: skip
        if key != last:
            run = []
            batch[key] = Append(*key, partition_of(*key), None, event.version - 1, run, fork_of=fork)
        run.append(new)
        last = key
        size += 1
        if fork:
            yield list(batch.values())
            batch, last, size = {}, None, 0
    if batch:
        yield list(batch.values())


async def _write(store: EventStore, batch: list[Append]) -> None:
    first = batch[0]
    done = await (store.append(batch) if first.fork_of else store.bulk(batch))
    for append, verdict in zip(batch, done.verdicts, strict=True):
        if verdict.status is not Status.WRITTEN:
            raise Conflict(
                f"{append.stream} is not at version {append.expected}: somebody else writes to this log",
                hint="stop every host, empty the database, and import again",
            )
    if done.head - done.before != sum(len(append.events) for append in batch):
        raise Corrupt("the log did not take the events it said it took")
