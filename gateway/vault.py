"""Keys of people for one process: where the master key and the record of erasures are, and what is opened with them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from actors.core.host import Host, wall_clock
from actors.core.kind import Plugin
from actors.core.sealing import Sealing, personal_types
from events.errors import BadDefinition, NotFound
from events.registry import Registry
from infra.postgres.connection import Links
from infra.postgres.subjects import PostgresKeys
from infra.vault.erasing import Eraser
from infra.vault.keyring import Ring
from infra.vault.keys import KeyRow, KeyStore
from infra.vault.master import make_master, read_master
from infra.vault.record import Record
from projections import Projector
from projections.core.port import ReadModelStore

log = logging.getLogger("thespis.vault")

ERASED = "ctl.erased"
"""Rung when somebody was erased, so that every host looks at once."""
MASTER = "THESPIS_MASTER_KEY_FILE"
RECORD = "THESPIS_ERASURES_FILE"


class Vault(msgspec.Struct, frozen=True):
    """What a process has to do with keys. `types` are the event types with personal fields."""

    ring: Ring
    keys: KeyStore
    record: Record
    types: list[str]

    def eraser(
        self,
        host: Host,
        projector: Projector,
        models: ReadModelStore,
        announce: Callable[[], None],
        elsewhere: Callable[[], Awaitable[list[str]]],
    ) -> Eraser:
        """Who erases subjects here; see `Eraser` for `announce` and `elsewhere`."""
        sealing = host.words.sealing
        assert sealing is not None
        return Eraser(
            host.store, self.keys, self.ring, sealing, host.kinds, projector, models, now=host.now, types=self.types,
            record=self.record, announce=announce, elsewhere=elsewhere,
        )  # fmt: skip


class People:
    """What the door offers: see `gateway.http.subjects_port.Subjects`."""

    def __init__(self, vault: Vault, eraser: Eraser) -> None:
        self._keys = vault.keys
        self.eraser = eraser

    async def list(self, tenant: str, after: str, limit: int) -> list[dict[str, Any]]:
        """Subjects with a key."""
        return [_shown(row) for row in await self._keys.subjects(tenant, after, limit)]

    async def show(self, tenant: str, subject: str) -> dict[str, Any]:
        """A subject, and where it is."""
        row = await self._keys.find(tenant, subject)
        if row is None:
            raise NotFound("nothing is sealed for this subject", hint="`thespis subjects list` shows who there is")
        streams = await self._keys.streams([row.id])
        count = await self._keys.count(tenant, [row.id], streams)
        return _shown(row) | {"streams": streams} | msgspec.structs.asdict(count)

    async def erase(self, tenant: str, subject: str, by: str, reason: str, patience: float) -> dict[str, Any]:
        """Destroy its key, and wait a while for all the rest."""
        erasure = await self.eraser.erase(tenant, subject, by, reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.eraser.receipt(erasure.id)
        return await self.erasure(tenant, erasure.id)

    async def erasure(self, tenant: str, id: str) -> dict[str, Any]:
        """How an erasure stands."""
        for one in await self._keys.erasures(0):
            if one.id == id and one.tenant == tenant:
                receipt = await self._keys.receipt(one.number)
                return {
                    "id": one.id, "keys": one.keys, "by": one.by, "reason": one.reason, "at": one.at, "done": one.done,
                    "receipt": msgspec.json.decode(receipt) if receipt else None,
                }  # fmt: skip
        raise NotFound(f"there is no erasure {id}")


def _shown(row: KeyRow) -> dict[str, Any]:
    return {"subject": row.subject, "key": row.id, "since": row.created_at}


@asynccontextmanager
async def open_vault(
    database_url: str, plugin: Plugin, data: Path | None, environment: Mapping[str, str] = os.environ
) -> AsyncGenerator[Vault | None]:
    """The vault of a workspace with personal fields; None when it has none, or there is no place for a master key.

    A master key is made when there is none and nothing is sealed yet. Raises BadDefinition when it is missing or
    another one, StoreUnavailable. The ring is not started.
    """
    places = environment.get(MASTER), environment.get(RECORD)
    master_file = Path(places[0]) if places[0] else data / "vault" / "master.key" if data else None
    record_file = Path(places[1]) if places[1] else data / "vault" / "erasures.jsonl" if data else None
    if not personal_types(plugin) or master_file is None or record_file is None:
        yield None
        return
    links = Links(database_url, "subjects", 2, 300.0)
    try:
        keys = PostgresKeys(links)
        make = not master_file.exists() and not await keys.masters()
        master = make_master(master_file) if make else read_master(master_file)
        events = Registry([*plugin.events, *(type for kind in plugin.kinds for type in kind.events)])
        yield Vault(Ring(keys, lambda: master, wall_clock), keys, Record(record_file), sorted(events.plans))
    finally:
        await links.close()


@asynccontextmanager
async def open_sealing(database_url: str, plugin: Plugin, data: Path | None) -> AsyncGenerator[Sealing | None]:
    """What a command opens histories with; None when nothing is sealed. Raises as `open_vault`, which see."""
    async with open_vault(database_url, plugin, data) as vault:
        if vault is None:
            if personal_types(plugin):
                raise BadDefinition(
                    "there are personal fields, and no keys to open them with", hint=f"set {MASTER} and {RECORD}"
                )
            yield None
            return
        await vault.ring.start()
        try:
            yield Sealing(vault.ring, Registry(), set())
        finally:
            await vault.ring.stop()
