"""Independent checks: they read the log, event by event, and nothing of the code that wrote it.

Each check is fed every event in order (`see`) and then says what it found (`checks`). A check that fails names the
first places where it did.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Protocol

import msgspec

from events import chain
from events.envelope import Event
from events.store import EventStore
from events.system import Forked

PAGE = 5000
SHOWN = 10
"""Faults a check remembers; it counts them all."""

LOST, DOUBLED, REORDERED, REPEATED = "lost", "doubled", "reordered", "repeated"
"""What a fault comes to: something that was promised is not there, or twice there, or not where it belongs; or a call to
the world was made again that must not be."""


class Check(msgspec.Struct):
    """A statement about the log, how much it was held against, and where it does not hold."""

    statement: str
    over: str = ""
    """What was looked at, in words and figures."""
    figure: str = LOST
    """What each of its faults counts as."""
    faults: list[str] = []
    count: int = 0

    @property
    def passed(self) -> bool:
        """Whether no fault was found."""
        return self.count == 0

    def fault(self, text: str) -> None:
        """Note a place where the statement does not hold."""
        self.count += 1
        if self.count <= SHOWN:
            self.faults.append(text)

    def require(self, holds: bool, text: str) -> None:
        """Note a fault unless it holds."""
        if not holds:
            self.fault(text)


class Witness(Protocol):
    """Sees every event of the log once, in order, and then says what it found."""

    def see(self, event: Event) -> None:
        """Look at the next event."""
        ...

    def checks(self) -> list[Check]:
        """The statements, each with what was found."""
        ...


class _Seen(msgspec.Struct, gc=False):
    position: int
    stream: str
    version: int
    hash: bytes


class LogProof:
    """What must hold of any log: order, gaplessness, chains, and causes before effects. Keeps 200 B per event."""

    def __init__(self) -> None:
        self._positions = Check("positions are gapless and in order", figure=REORDERED)
        self._versions = Check("versions of every stream are gapless", figure=REORDERED)
        self._chains = Check("the hash chain of every stream is intact")
        self._ids = Check("no event is recorded twice", figure=DOUBLED)
        self._causes = Check("every cause comes before what it caused", figure=REORDERED)
        self._order = Check("tells of one sender to one receiver were handled in the order decided", figure=REORDERED)
        self._head = 0
        self._streams: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._seen: dict[str, _Seen] = {}
        self._later: dict[str, str] = {}
        self._heard: dict[tuple[str, str], int] = {}

    def see(self, event: Event) -> None:
        """Look at the next event."""
        where = f"position {event.position} ({event.stream} version {event.version})"
        self._positions.require(event.position == self._head + 1, f"{where} follows position {self._head}")
        self._head = event.position
        version, previous = self._before(event)
        self._versions.require(event.version == version + 1, f"{where} follows version {version}")
        hash = chain.link(
            previous, event.tenant, event.stream, event.version, event.id, event.type, event.schema, event.causation,
            event.data,
        )  # fmt: skip
        self._chains.require(hash == event.hash, f"{where} does not continue its chain")
        self._streams[event.tenant, event.stream] = (event.version, event.hash)
        self._ids.require(event.id not in self._seen, f"{where} has the id {event.id} of an earlier event")
        if event.id in self._later:
            self._causes.fault(f"{self._later[event.id]} was caused by the later {where}")
        self._seen[event.id] = _Seen(event.position, f"{event.tenant}/{event.stream}", event.version, event.hash)
        self._follow(event, where)

    def _before(self, event: Event) -> tuple[int, bytes]:
        known = self._streams.get((event.tenant, event.stream))
        if known is not None:
            return known
        if event.type == "Forked":
            prefix = self._seen.get(event.causation)
            if prefix is not None:
                return msgspec.json.decode(event.data, type=Forked).version, prefix.hash
        return 0, chain.GENESIS

    def _follow(self, event: Event, where: str) -> None:
        cause = self._seen.get(event.causation)
        if cause is None:
            # From outside: the id of a message. Should an event of that id turn up later, time ran backwards.
            self._later.setdefault(event.causation, where)
            return
        receiver = f"{event.tenant}/{event.stream}"
        if cause.stream == receiver or event.type == "Forked":
            return
        pair = (cause.stream, receiver)
        heard = self._heard.get(pair, 0)
        self._order.require(cause.version >= heard, f"{where} follows from version {cause.version} of {cause.stream}, "
                            f"after version {heard} was heard")  # fmt: skip
        self._heard[pair] = max(heard, cause.version)

    def checks(self) -> list[Check]:
        """The statements, each with what was found."""
        events, streams, pairs = f"{self._head:,} events", f"{len(self._streams):,} streams", f"{len(self._heard):,}"
        self._positions.over = self._ids.over = self._causes.over = events
        self._versions.over = self._chains.over = streams
        self._order.over = f"{pairs} pairs of actors"
        return [self._positions, self._versions, self._chains, self._ids, self._causes, self._order]


async def read(store: EventStore) -> AsyncIterator[Event]:
    """The whole log, page by page."""
    after = 0
    while events := await store.read(after, PAGE):
        for event in events:
            yield event
        after = events[-1].position


async def witness(store: EventStore, *witnesses: Witness) -> list[Check]:
    """Show the whole log to the witnesses and gather what they say."""
    async for event in read(store):
        for one in witnesses:
            one.see(event)
    return [check for one in witnesses for check in one.checks()]


def verdict(checks: Iterable[Check]) -> list[str]:
    """One line per check; faults are indented below theirs."""
    lines: list[str] = []
    for check in checks:
        over = f" ({check.over})" if check.over else ""
        lines.append(f"{'proved' if check.passed else 'FAILED'}  {check.statement}{over}")
        lines += [f"        {fault}" for fault in check.faults]
        if check.count > len(check.faults):
            lines.append(f"        … and {check.count - len(check.faults):,} more")
    return lines
