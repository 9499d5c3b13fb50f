"""Following the log for what actors wait for: which events those are changes all the time, and nobody else is woken.

A kind says with `follows` what it looks for: facts that begin and end a wait, and the events that are waited for now.
They are matched in the order of the log, so that an event counts for those who waited when it was recorded, and only
for them. What is found is sent in one append with the cursor, under ids made from the event's: repeated, it changes
nothing. An event that nobody waits for costs no commit.

After a takeover what is open is found by reading the waits again, from the oldest that was open at the cursor.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from actors.core.deciding import receiver
from actors.core.kind import Kind
from actors.core.router import PAGE, Router
from events.address import DEFAULT_TENANT, partition_of
from events.envelope import Event
from events.errors import ThespisError
from events.ids import keyed
from events.sealing import is_sealed
from events.store import Mail
from events.system import Followed

if TYPE_CHECKING:
    from actors.core.host import Host

FAR = 20_000
"""Positions after which the cursor is kept although nothing was found, so that a takeover does not read much again."""


class Follows(Protocol):
    """What a kind looks for. Pure: its state is made by `see` alone."""

    def types(self) -> Collection[str]:
        """The events to be shown, now."""
        ...

    def oldest(self) -> int | None:
        """The position of the oldest fact that is still needed; None when nothing is open."""
        ...

    def see(self, fact: Event) -> Sequence[tuple[str, Any]]:
        """One fact, in order: (address, message) of everybody who waited for it."""
        ...


class Follower(Router):
    """Runs on the host that owns the partition of `router/<kind>-follows`."""

    def __init__(self, host: Host, kind: Kind) -> None:
        super().__init__(host, kind)
        assert kind.follows is not None
        self._begin = kind.follows
        self._follows: Follows = kind.follows()
        self.stream = f"router/{kind.name}-follows"
        self._partition = partition_of(DEFAULT_TENANT, self.stream)
        self.types = sorted(self._follows.types())
        self._kept = 0

    async def _recall(self) -> None:
        loaded = (await self._host.store.load([(DEFAULT_TENANT, self.stream, "")]))[0]
        self._version, self._hash = loaded.version, loaded.hash
        self._follows, self.cursor, self._kept = self._begin(), 0, 0
        if loaded.version:
            last = await self._host.store.read_stream(DEFAULT_TENANT, self.stream, loaded.version - 1)
            known = msgspec.json.decode(last[-1].data, type=Followed)
            self.cursor = known.oldest - 1 if known.oldest else known.upto
            while self.cursor < known.upto:
                await self._page(known.upto)
            self._kept = known.upto
        self.types = sorted(self._follows.types())

    async def _route(self, epoch: int) -> None:
        while True:
            head = await self._host.store.head()
            mails, last, more = await self._page(head)
            if mails or (last is not None and self.cursor - self._kept > FAR):
                assert last is not None
                followed = Followed(self.cursor, self._follows.oldest() or 0, len(mails))
                await self._append(epoch, followed, mails, [], last)
                self._kept = self.cursor
            if not more:
                return

    async def _page(self, head: int) -> tuple[list[Mail], Event | None, bool]:
        """Go on to `head` at most: what was found, the last fact that was seen, and whether there is more."""
        shown = frozenset(self._follows.types())
        facts = [f for f in await self._host.store.read(self.cursor, PAGE, sorted(shown)) if f.position <= head]
        mails: list[Mail] = []
        upto, more = (facts[-1].position, True) if len(facts) == PAGE else (head, False)
        last: Event | None = None
        for fact in facts:
            last = fact
            if is_sealed(fact.data):
                continue  # what is personal is not copied into those who wait
            for address, data in self._follows.see(fact):
                mails.append(self._mail(fact, address, data, len(mails)))
            if not shown.issuperset(self._follows.types()):
                upto, more = fact.position, True  # from here on there is more to be shown
                break
        self.cursor = max(self.cursor, upto)
        self.types = sorted(self._follows.types())
        return mails, last, more

    def _mail(self, fact: Event, address: str, data: Any, ordinal: int) -> Mail:
        name = type(data).__name__
        if name not in self._kind.messages:
            raise ThespisError(f"{self.stream}: {self._kind.name} takes no {name}")
        return Mail(
            receiver(fact.tenant, address), fact.tenant, address, ordinal, keyed(fact.tenant, "wait", address, fact.id),
            name, 1, msgspec.json.encode(data), self.stream, fact.recorded_at, fact.id, fact.correlation, fact.trace,
            None,
        )  # fmt: skip
