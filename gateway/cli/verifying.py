"""Proof that today's code folds yesterday's history into the states that were: every stream, refolded and compared.

Silent: reads the log, runs `evolve`, writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

import msgspec

from actors import Kind
from actors.core.fold import Folded, begin
from actors.core.kind import encode_state
from actors.core.sealing import Sealing, proof, refolded
from events.address import DEFAULT_TENANT, FOREIGN, split
from events.chain import GENESIS, link
from events.envelope import Event
from events.errors import NotFound, ThespisError
from events.store import EventStore, StateHash

PAGE: Final = 2000
TOGETHER: Final = 8

STATELESS: Final = frozenset({"system", "router"}) | FOREIGN
"""Streams of the kernel itself, whose events are the kernel's own, and those of other libraries: no state to fold."""


class Divergence(msgspec.Struct, frozen=True):
    """Where history and code part. `what` is `state` (hashes of the state's JSON), `chain` (the stored hash of an event
    does not follow from it), `gap` (a version is missing), or `fold` (the code raised; `found` says what)."""

    tenant: str
    stream: str
    version: int
    what: str
    expected: str
    found: str
    fold: str = ""
    """The code that the remembered state came from; another than today's explains a lot."""


class Verified(msgspec.Struct):
    """What was looked at. `hashes` were compared, `chained` events followed from the ones before them."""

    streams: int = 0
    events: int = 0
    hashes: int = 0
    unserved: dict[str, int] = {}
    """Streams of kinds that are not known here, by kind: their chain was checked, their states were not."""
    divergences: list[Divergence] = []

    @property
    def well(self) -> bool:
        """Whether everything was verified and nothing diverged."""
        return not self.divergences and not self.unserved


async def verify(
    store: EventStore,
    kinds: Mapping[str, Kind],
    *,
    tenant: str | None = None,
    stream: str | None = None,
    all: bool = False,
    sealing: Sealing | None = None,
    advance: Callable[[int], None] = lambda _events: None,
) -> Verified:
    """Refold every stream (or one) and hold it against the remembered state hashes, and its events' hash chain.

    Stops at the first divergence in order of (tenant, stream), unless `all` are wanted. `advance` gets the number of
    events looked at since its last call; `sealing` opens personal fields. Raises NotFound for a stream that is not
    there, StoreUnavailable.
    """
    result = Verified()
    together: list[tuple[str, str]] = []
    async for where in _streams(store, tenant, stream):
        together.append(where)
        if len(together) == TOGETHER:
            await _some(store, kinds, together, result, sealing, advance)
            together = []
            if result.divergences and not all:
                break
    await _some(store, kinds, together, result, sealing, advance)
    if not all:
        del result.divergences[1:]
    return result


async def _streams(store: EventStore, tenant: str | None, stream: str | None) -> AsyncIterator[tuple[str, str]]:
    if stream is not None:
        if not await store.read_stream(tenant or DEFAULT_TENANT, stream, limit=1):
            raise NotFound(f"{stream} has no history", hint="`thespis actors list` shows what there is")
        yield tenant or DEFAULT_TENANT, stream
        return
    async for owner, name, _version in store.streams(tenant):
        yield owner, name


async def _some(
    store: EventStore,
    kinds: Mapping[str, Kind],
    together: list[tuple[str, str]],
    result: Verified,
    sealing: Sealing | None,
    advance: Callable[[int], None],
) -> None:
    """Verify some streams at once."""
    for one in await asyncio.gather(*(_one(store, kinds, *where, sealing, advance) for where in together)):
        result.streams += 1
        result.events += one.events
        result.hashes += one.hashes
        for kind, count in one.unserved.items():
            result.unserved[kind] = result.unserved.get(kind, 0) + count
        result.divergences += one.divergences


async def _one(
    store: EventStore,
    kinds: Mapping[str, Kind],
    tenant: str,
    stream: str,
    sealing: Sealing | None,
    advance: Callable[[int], None],
) -> Verified:
    kind = kinds.get(split(stream)[0])
    result = Verified()
    remembered = {h.version: h for h in await store.state_hashes(tenant, stream)} if kind else {}
    if kind is None and split(stream)[0] not in STATELESS:
        result.unserved[split(stream)[0]] = 1
    folded = begin(kind, stream) if kind else None
    version, previous = 0, GENESIS
    while True:
        events = await store.read_stream(tenant, stream, version, limit=PAGE)
        wrong = _unchained(events, version, previous)
        if wrong is None and kind is not None and folded is not None:
            wrong = await _unequal(kind, folded, events, remembered, result, sealing)
        if wrong is not None:
            result.divergences.append(msgspec.structs.replace(wrong, tenant=tenant, stream=stream))
            return result
        result.events += len(events)
        advance(len(events))
        if events:
            version, previous = events[-1].version, events[-1].hash
        if len(events) < PAGE:
            break
    missing = min((v for v in remembered if v > version), default=None)
    if missing is not None:
        lost = Divergence(tenant, stream, missing, "gap", f"version {missing}", f"the stream ends at {version}")
        result.divergences.append(lost)
    return result


def _unchained(events: list[Event], version: int, previous: bytes) -> Divergence | None:
    for e in events:
        version += 1
        if e.version != version:
            return Divergence("", "", version, "gap", str(version), str(e.version))
        found = link(previous, e.tenant, e.stream, e.version, e.id, e.type, e.schema, e.causation, e.data)
        if found != e.hash:
            return Divergence("", "", version, "chain", e.hash.hex(), found.hex())
        previous = found
    return None


async def _unequal(
    kind: Kind,
    folded: Folded,
    events: list[Event],
    remembered: Mapping[int, StateHash],
    result: Verified,
    sealing: Sealing | None,
) -> Divergence | None:
    for event in events:
        version = event.version
        try:
            await refolded(sealing, kind, folded, [event])
            known = remembered.get(version)
            found = proof(sealing, kind, encode_state(folded.state)) if known else b""
        except Exception as error:
            said = error.message if isinstance(error, ThespisError) else f"{type(error).__name__}: {error}"
            return Divergence("", "", version, "fold", event.type, said, kind.fold_id)
        if known is None:
            continue
        result.hashes += 1
        if found != known.hash:
            return Divergence("", "", version, "state", known.hash.hex(), found.hex(), known.fold)
    return None
