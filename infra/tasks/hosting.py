"""Everything a host needs to have tasks performed, put together."""

from __future__ import annotations

from collections.abc import Sequence

from actors.core.host import Host
from actors.core.kind import EffectKind
from actors.workflows.tasks import Catalogue, Task
from events.blobs import Blobs
from infra.nats.blobs import ServedBlobs
from infra.nats.bus import NatsBus
from infra.nats.client import Client
from infra.nats.connection import Connection
from infra.tasks.dispatch import LOST_AFTER, Dispatch
from infra.tasks.effects import Here, task_effects
from infra.tasks.local import Executor, Slots
from infra.tasks.reports import Reports
from infra.tasks.routing import Routed
from infra.tasks.showing import shown


class HostTasks:
    """Give `effects` to the host's plugin, then `start` with the host; `stop` it after the host.

    `name` is what results say of where they were made. `lost_after`: seconds without a sign of life of a worker.
    """

    def __init__(
        self,
        connection: Connection,
        blobs: Blobs,
        tasks: Sequence[Task],
        name: str,
        *,
        slots: Slots | None = None,
        replicas: int = 1,
        lost_after: float = LOST_AFTER,
    ) -> None:
        self._connection = connection
        self._reports: Reports | None = None
        bus = NatsBus(connection)
        self._served = ServedBlobs(bus, blobs)
        show = shown(bus)
        self.executor = Executor(Catalogue(tasks), blobs, slots=slots, worker=name, show=show)
        self.dispatch = Dispatch(connection, self.executor.reconcile, lost_after=lost_after, replicas=replicas)
        self.effects: list[EffectKind] = task_effects(Routed(Here(self.executor), self.dispatch))

    async def start(self, host: Host, client: Client) -> None:
        """Begin to listen to workers. Call it before `host.start`."""
        owned = host.ownership.owned
        self._reports = Reports(self._connection, self.dispatch, client, host.store.effect, owned)
        host.effects.closing.append(self._reports.closed)
        await self.dispatch.start(owned)
        await self._reports.start()
        await self._served.start()

    async def stop(self) -> None:
        """Cut off what is performed here; workers go on."""
        await self._served.stop()
        if self._reports is not None:
            await self._reports.stop()
        await self.dispatch.stop()
        await self.executor.stop()
