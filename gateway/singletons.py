"""What one host does for all: the relay, and each version of each projection on one of the hosts that have its code.

This spares work; that two at once do no harm is the relay's and the projector's own business.
"""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache

import msgspec

from actors.core.host import Host
from events.address import DEFAULT_TENANT, partition_of
from events.errors import ThespisError
from infra.nats.relay import Relay
from projections import Projector, assigned

log = logging.getLogger("thespis.process")

RELAY = "system/relay"


class Info(msgspec.Struct, frozen=True):
    """What a host tells the others of itself. `projections` are the versions of which it has the code."""

    pid: int = 0
    machine: str = ""
    projections: dict[str, int] = {}


@lru_cache(maxsize=256)
def _info(data: bytes) -> Info:
    try:
        return msgspec.json.decode(data, type=Info)
    except msgspec.DecodeError:
        return Info()


class Singletons:
    """Follows who owns the partition of the relay's address, and which hosts there are."""

    def __init__(self, host: Host, relay: Relay, projector: Projector) -> None:
        self._host = host
        self._relay = relay
        self._projector = projector
        self._assigned: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self.relaying = False

    async def start(self) -> None:
        """Follow the ownership."""
        self._task = asyncio.create_task(self._follow(), name="singletons")

    async def stop(self) -> None:
        """Leave them to others."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.relaying:
            self.relaying = False
            await self._relay.stop()
        await self._projector.stop()

    async def _follow(self) -> None:
        ownership = self._host.ownership
        while True:
            try:
                relaying = partition_of(DEFAULT_TENANT, RELAY) in self._host.owned
                if relaying != self.relaying:
                    await (self._relay.start() if relaying else self._relay.stop())
                    self.relaying = relaying
                hosts = {h.id: _info(h.info).projections for h in ownership.hosts if h.alive}
                names = assigned(ownership.name, hosts)
                if names != self._assigned:
                    await self._projector.assign(names)
                    self._assigned = names
            except ThespisError as error:
                log.warning("cannot follow the ownership: %s", error)
            await ownership.changed(0.5)
