"""A person who has parked actors go on, without the message at which their code fails."""

from __future__ import annotations

import asyncio

from events.address import DEFAULT_TENANT, partition_of
from tests.acceptance.world import World


class Operator:
    """Looks at the log for actors that are parked, and resumes them where they live."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._parked: dict[str, None] = {}
        self._after = 0

    def start(self) -> None:
        """Begin; it ends with the world."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            await self._look()
            for address in list(self._parked):
                await self._resume(address)
            await asyncio.sleep(0.5)

    async def _look(self) -> None:
        while events := await self._world.log.read(self._after, 5000):
            for event in events:
                if event.type == "ActorParked":
                    self._parked[event.stream] = None
                elif event.type == "ActorResumed":
                    self._parked.pop(event.stream, None)
            self._after = events[-1].position

    async def _resume(self, address: str) -> None:
        partition = partition_of(DEFAULT_TENANT, address)
        for machine in self._world.machines:
            if machine.alive and not machine.process.halted and partition in machine.host.owned:
                await machine.request(machine.host.resume(DEFAULT_TENANT, address, "user:operator", "go on", skip=True))
                return
