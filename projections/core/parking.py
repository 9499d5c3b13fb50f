"""What a person does about a parked key: try its events again, or let them go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from events.envelope import Event
from events.errors import Busy, Corrupt, InvalidData, NotFound
from projections.core.definition import Projection
from projections.core.fold import Fold
from projections.core.port import Build, Commit, Decision, Held, ParkedKey, Poisoned, ReadModelStore, Source

PAGE: Final = 1_000
TRIES: Final = 100


class Outcome(msgspec.Struct, frozen=True):
    """`events` were folded (or let go); `parked` is the key as it is now, or None when it is free."""

    events: int
    parked: ParkedKey | None


async def live_build(store: ReadModelStore, name: str) -> Build:
    """The live build. Raises NotFound."""
    for build in await store.builds(name):
        if build.state == "live":
            return build
    raise NotFound(f"there is no projection {name!r}", hint="`thespis projections list` names them")


async def parked_key(store: ReadModelStore, build: Build, key: str) -> ParkedKey | None:
    """A parked key of a build, or None."""
    return next((p for p in await store.parked(build) if p.key == key), None)


async def retry(
    projection: Projection, source: Source, store: ReadModelStore, key: str, by: str, reason: str
) -> Outcome:
    """Fold the events held for a key, in order, with today's code. Stops, still parked, at one that fails again.

    Raises NotFound when the key is not parked.
    """
    done, lost, page = 0, 0, PAGE
    while lost < TRIES:
        build = await live_build(store, projection.name)
        if await parked_key(store, build, key) is None:
            if done:
                return Outcome(done, None)
            raise NotFound(f"projection {projection.name} has no parked key {key!r}")
        positions = await store.held(build, key, page)
        events = await source.at(positions, projection.columns)
        if len(events) != len(positions):
            raise Corrupt(f"events held for {key!r} of projection {projection.name} are not in the log")
        try:
            commit = await _again(projection, store, build, key, events)
            commit.decision = Decision(key, "retry", by, reason, len(commit.released))
            stored = await store.commit(build, commit)
        except InvalidData as error:
            if len(events) > 1:  # which one it is shows when they go one by one
                page = 1
                continue
            commit = Commit(build.cursor, poisoned=[Poisoned(key, events[0].position, f"InvalidData: {error}")])
            commit.decision = Decision(key, "retry", by, reason, 0)
            stored = await store.commit(build, commit)
        if stored is None:
            lost += 1
            await asyncio.sleep(0.01)
            continue
        done += len(commit.released)
        if commit.poisoned:
            return Outcome(done, await parked_key(store, stored, key))
    raise Busy(f"projection {projection.name} moves too fast to retry {key!r}; {done} events were folded")


async def _again(
    projection: Projection, store: ReadModelStore, build: Build, key: str, events: Sequence[Event]
) -> Commit:
    fold = Fold(projection)
    data, missing = fold.prepare(events)
    for table, keys in missing.items():
        wanted = list(keys)
        fold.rows.fill(table, wanted, await store.load(build, table, wanted))
    folded: list[Held] = []
    for event, value in zip(events, data, strict=True):
        fold.apply([event], [value])
        if fold.poisoned:
            break
        folded.append(Held(key, event.position))
    # The failing event is held already; and whatever key it names itself, it is this one that waits.
    poisoned = [Poisoned(key, p.position, p.error) for p in fold.poisoned]
    return Commit(build.cursor, fold.commit(build.cursor).changes, poisoned, (), folded)


async def discard(store: ReadModelStore, name: str, key: str, by: str, reason: str) -> Outcome:
    """Free a key and never fold what was held for it (until a rebuild). Raises NotFound when it is not parked."""
    done, lost = 0, 0
    while lost < TRIES:
        build = await live_build(store, name)
        if await parked_key(store, build, key) is None:
            if done:
                return Outcome(done, None)
            raise NotFound(f"projection {name} has no parked key {key!r}")
        positions = await store.held(build, key, PAGE)
        commit = Commit(
            build.cursor,
            released=[Held(key, p) for p in positions],
            decision=Decision(key, "discard", by, reason, len(positions)),
        )
        if await store.commit(build, commit) is None:
            lost += 1
            await asyncio.sleep(0.01)
            continue
        done += len(positions)
    raise Busy(f"projection {name} moves too fast to discard {key!r}; {done} events were let go")
