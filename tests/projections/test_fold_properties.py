"""However the log is cut into batches, whatever fails on the way: the same rows."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from events.envelope import Event
from events.errors import StoreUnavailable
from infra.memory.projections import MemoryReadModels
from projections import Projection, Ref, Rows, Table, replay
from projections.core.builds import plan
from projections.core.fold import Fold
from projections.core.port import Build, Commit
from tests.projections.scenes import ListLog, Wrapped, rows_of, running

COUNTS = Table("counts", {"tenant": str, "stream": str, "n": int}, key=("tenant", "stream"))
JOURNAL = Table("journal", {"tenant": str, "position": int, "n": int, "seen": list}, key=("tenant", "position"))


def keys(event: Event, data: Any) -> list[Ref]:
    refs: list[Ref] = [(COUNTS, (event.tenant, event.stream))]
    if data["op"] == "amend":
        refs.append((JOURNAL, (event.tenant, data["at"])))
    return refs


def apply(rows: Rows, event: Event, data: Any) -> None:
    """Uses all that rows can do, in ways that depend on the order."""
    row = rows.get(COUNTS, event.tenant, event.stream)
    n = (row["n"] if row else 0) * 3 + event.position
    match data["op"]:
        case "put":
            rows.put(COUNTS, {"tenant": event.tenant, "stream": event.stream, "n": n % 1_000_003})
        case "drop":
            rows.delete(COUNTS, event.tenant, event.stream)
        case "amend":
            old = rows.get(JOURNAL, event.tenant, data["at"])
            if old is not None:
                old["seen"].append(event.position)
                rows.put(JOURNAL, old)
        case _:
            raise ValueError("poison")
    if data["op"] != "amend":
        rows.insert(JOURNAL, {"tenant": event.tenant, "position": event.position, "n": n % 97, "seen": []})


BUSY = Projection("busy", 1, tables=[COUNTS, JOURNAL], types=["Op"], keys=keys, apply=apply)

OPS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(
            st.sampled_from([{"op": "put"}, {"op": "drop"}]),
            st.builds(lambda at: {"op": "amend", "at": at}, st.integers(1, 40)),
        ),
    ),
    max_size=60,
)


def log_of(ops: list[tuple[int, dict[str, Any]]]) -> ListLog:
    log = ListLog()
    for stream, op in ops:
        log.add(f"thing/{stream}", msgspec.json.encode(op), type="Op")
    return log


class Fails(Wrapped):
    def __init__(self, inner: MemoryReadModels, fates: list[int]) -> None:
        super().__init__(inner)
        self.fates = fates

    async def commit(self, build: Build, commit: Commit) -> Build | None:
        fate = self.fates.pop() if self.fates else 0
        await asyncio.sleep(0)
        if fate == 1:
            raise StoreUnavailable
        stored = await self._inner.commit(build, commit)
        if fate == 2:
            raise StoreUnavailable
        return stored


@settings(max_examples=60, deadline=None)
@given(ops=OPS, batch=st.integers(1, 20), fates=st.lists(st.integers(0, 2), max_size=12))
def test_any_cut_into_batches_and_any_failure_give_the_same_rows(
    ops: list[tuple[int, dict[str, Any]]], batch: int, fates: list[int]
) -> None:
    async def run() -> None:
        log, store = log_of(ops), MemoryReadModels()
        async with running(Fails(store, fates), log, BUSY, batch=batch, poll=0.001) as projector:
            await projector.wait("busy", len(ops), 20)
        for table, rows in replay(BUSY, log.events).items():
            assert await rows_of(store, "busy", table) == rows

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(ops=OPS, cut=st.integers(0, 60), poison=st.integers(0, 60))
def test_what_fails_leaves_no_trace_in_the_rows(ops: list[tuple[int, dict[str, Any]]], cut: int, poison: int) -> None:
    """A fold with a poisoned event equals a fold of a log without its key's events from there on."""
    spoilt = [*ops[:poison], (9, {"op": "poison"}), *ops[poison:]]
    log = log_of(spoilt)

    async def run() -> None:
        store = MemoryReadModels()
        async with running(store, log, BUSY, batch=cut + 1) as projector:
            await projector.wait("busy", len(spoilt), 20)
            assert [p.key for p in await projector.parked()] == ["default/thing/9"]
        clean = [e for e in log.events if e.stream != "thing/9"]
        for table, rows in replay(BUSY, clean).items():
            assert await rows_of(store, "busy", table) == rows

    asyncio.run(run())


def test_replay_needs_no_clock_no_store_and_no_loop() -> None:
    """P5: folding is a function of events alone; the pure half has nothing it could call."""
    log = log_of([(1, {"op": "put"}), (1, {"op": "amend", "at": 1}), (2, {"op": "put"})])
    assert replay(BUSY, log.events) == replay(BUSY, log.events)
    assert [r["seen"] for r in replay(BUSY, log.events)["journal"]] == [[2], []]
    assert not Fold(BUSY).parked
    assert plan([], BUSY).create == "live"
