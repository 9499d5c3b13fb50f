"""`Ring`: keys of subjects in memory, for as long as they are known not to be erased."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Final

from events.errors import BadDefinition, ThespisError
from events.subjects import KeysNeeded, Place
from infra.vault import cipher
from infra.vault.keys import Erasure, KeyRow, KeyStore

log = logging.getLogger("thespis.vault")

AGE: Final = 2.0
"""Seconds after which keys in memory are not used before it was looked whether they were erased."""
POLL: Final = 0.5
LIMIT: Final = 200_000
"""Keys, and uses of them, kept in memory."""


class Ring:
    """See `events.subjects.Keyring`. Once started it learns of erasures, and calls `erased` with each.

    With `age` None keys in memory are always used: for a store in the same memory, which calls `forget` itself.
    """

    def __init__(
        self, store: KeyStore, master: Callable[[], bytes], now: Callable[[], int], *, age: float | None = AGE
    ) -> None:
        self._store = store
        self._master = master
        self._now = now
        self._age = age
        self._keys: dict[str, tuple[bytes, str, str] | None] = {}
        """Key id → key, tenant, subject; None for one that is gone."""
        self._current: dict[tuple[str, str], str] = {}
        self._uses: set[tuple[str, str, str]] = set()
        self._fresh = 0.0
        self._seen = 0
        self._missing = KeysNeeded()
        self._fetching = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.erased: list[Callable[[Erasure], None]] = []

    # -- life
    async def start(self) -> None:
        """Learn of erasures. Those before now need no call: nothing of them is in memory."""
        for erasure in await self._store.erasures(0):
            self._seen = erasure.number
        await self.look()
        if self._age is not None:
            self._task = asyncio.create_task(self._watch(), name="keyring")

    async def stop(self) -> None:
        """Forget all keys."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._keys.clear()
        self._current.clear()
        self._uses.clear()

    def wake(self) -> None:
        """Something was erased: look now."""
        self._bell.set()

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(POLL):
                    await self._bell.wait()
            except TimeoutError:
                pass
            self._bell.clear()
            try:
                await self.look()
            except ThespisError as error:
                log.warning("cannot see what was erased: %s", error)

    async def look(self) -> None:
        """Learn of erasures now. Raises StoreUnavailable."""
        async with self._looking:
            began = asyncio.get_running_loop().time()
            for erasure in await self._store.erasures(self._seen):
                self.forget(erasure)
            self._fresh = began + (self._age or 0.0)

    def forget(self, erasure: Erasure) -> None:
        """Drop the keys, and tell who may hold what they opened."""
        self._seen = max(self._seen, erasure.number)
        for key in erasure.keys:
            found = self._keys.get(key)
            if found is not None:
                self._current.pop((found[1], found[2]), None)
            self._keys[key] = None
        for call in self.erased:
            call(erasure)

    # -- use
    def _stale(self) -> bool:
        return self._age is not None and asyncio.get_running_loop().time() > self._fresh

    def ready(self, tenant: str, subject: str, stream: str) -> bool:
        """See `Keyring.ready`."""
        return (tenant, subject) in self._current and (tenant, subject, stream) in self._uses and not self._stale()

    def seal(self, tenant: str, subject: str, field: str, plain: bytes, place: Place) -> tuple[str, bytes]:
        """See `Keyring.seal`."""
        id = self._current.get((tenant, subject))
        found = self._keys.get(id) if id is not None else None
        if id is None or found is None or not self.ready(tenant, subject, place.stream):
            needed = KeysNeeded()
            needed.subjects.add((tenant, subject, place.stream))
            raise needed
        return id, cipher.seal(found[0], plain, place.bound(), field)

    def open(self, key: str, box: bytes, place: Place) -> bytes | None:
        """See `Keyring.open`."""
        if key not in self._keys or self._stale():
            needed = KeysNeeded()
            needed.keys.add(key)
            raise needed
        found = self._keys[key]
        if found is None or found[1] != place.tenant:
            return None
        return cipher.open_box(found[0], box, place.bound())

    def subject_of(self, key: str) -> str | None:
        """See `Keyring.subject_of`."""
        found = self._keys.get(key)
        return found[2] if found is not None else None

    def proof(self, state: bytes) -> bytes:
        """See `Keyring.proof`: keyed by the master key."""
        return cipher.proof(self._master(), state)

    async def fetch(self, needed: KeysNeeded) -> None:
        """See `Keyring.fetch`. What many want at once is fetched together."""
        self._missing.subjects |= needed.subjects
        self._missing.keys |= needed.keys
        async with self._fetching:
            if self._stale():
                await self.look()
            wanted, self._missing = self._missing, KeysNeeded()
            try:
                if wanted.keys:
                    await self._fetch_keys(wanted.keys)
                if wanted.subjects:
                    await self._fetch_subjects(wanted.subjects)
            except BaseException:
                self._missing.subjects |= wanted.subjects
                self._missing.keys |= wanted.keys
                raise

    async def _fetch_keys(self, ids: set[str]) -> None:
        unknown = [id for id in ids if id not in self._keys]
        if not unknown:
            return
        rows = {row.id: row for row in await self._store.keys(unknown)}
        self._make_room()
        for id in unknown:
            row = rows.get(id)
            if row is None:
                # Keys are committed before anything is sealed with them, so this one was erased.
                self._keys[id] = None
            elif id not in self._keys:
                self._hold(row)

    async def _fetch_subjects(self, uses: set[tuple[str, str, str]]) -> None:
        missing = [use for use in uses if use not in self._uses or use[:2] not in self._current]
        if not missing:
            return
        fresh = [self._fresh_key(tenant, subject) for tenant, subject in {use[:2] for use in missing}]
        rows = await self._store.ensure(fresh, missing)
        self._make_room()
        for row in rows:
            if self._keys.get(row.id, row) is not None:  # else it was erased just now
                self._hold(row)
        self._uses.update(use for use in missing if use[:2] in self._current)

    def _fresh_key(self, tenant: str, subject: str) -> KeyRow:
        master, id = self._master(), secrets.token_hex(16)
        wrapped = cipher.seal(master, cipher.new_key(), _bound(id, tenant, subject))
        return KeyRow(id, tenant, subject, wrapped, cipher.fingerprint(master), self._now())

    def _hold(self, row: KeyRow) -> None:
        master = self._master()
        if cipher.fingerprint(master) != row.master:
            raise BadDefinition(
                f"keys here are wrapped by the master key {row.master}, this host has {cipher.fingerprint(master)}",
                hint="give every host the same file with THESPIS_MASTER_KEY_FILE",
            )
        key = cipher.open_box(master, row.wrapped, _bound(row.id, row.tenant, row.subject))
        if key is None:
            raise BadDefinition(f"key {row.id} does not open with the master key: it was changed")
        self._keys[row.id] = (key, row.tenant, row.subject)
        self._current[row.tenant, row.subject] = row.id

    def _make_room(self) -> None:
        if len(self._keys) > LIMIT or len(self._uses) > LIMIT:
            self._keys.clear()
            self._current.clear()
            self._uses.clear()


def _bound(id: str, tenant: str, subject: str) -> bytes:
    return "\0".join(("key", id, tenant, subject)).encode()
