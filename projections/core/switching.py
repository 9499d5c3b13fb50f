"""Switching the readers of a projection to another of its builds, at one position at which both stand."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from events.ids import random_id
from projections.core.comparison import Comparison, Samples, compare, sample
from projections.core.parking import live_build
from projections.core.port import Build, ReadModelStore, Switch

log = logging.getLogger("thespis.projections")

PROJECTOR: Final = "projector"
"""Who switches when nobody asked: a new build has caught up."""
KEEP: Final = 3_600.0
"""Seconds for which the build before is kept up to date, so that it can be switched back to."""

Advance = Callable[[int], Awaitable[Build | None]]
"""Fold the build up to and with a position, if it is not there yet; returns it as stored then, or None."""


class Order(msgspec.Struct, frozen=True):
    """A switch to be carried out. `force`: whatever the comparison says. Times are in microseconds."""

    to: int
    by: str
    reason: str
    force: bool
    now: int
    keep: int


class Outcome(msgspec.Struct, frozen=True):
    """`switch` is what was done; it is None when `refused` says why not, or else when it is to be tried again."""

    switch: Switch | None = None
    refused: str = ""


async def prepare(store: ReadModelStore, projection: str, advance: Advance) -> Samples:
    """Bring the build near the live one and choose the rows to compare, while that goes on."""
    live = await live_build(store, projection)
    target = await advance(live.cursor)
    return {} if target is None else await sample(store, live, target)


async def carry_out(
    store: ReadModelStore, projection: str, order: Order, samples: Samples, advance: Advance
) -> Outcome:
    """Bring the build to where the live one is, hold that still there, compare them, and switch.

    `samples` are what `prepare` chose. The caller sees to it that the live build is not folded on
    this host meanwhile; elsewhere the store holds it up, for as long as the last few events and the comparison take.
    """
    await advance((await live_build(store, projection)).cursor)
    async with store.frozen(projection) as frozen:
        live = frozen.live
        target = await advance(live.cursor)
        if target is None or target.cursor != live.cursor or target.number == live.number:
            return Outcome()
        comparison = await compare(store, live, target, samples)
        refused = "" if order.force else comparison.unexplained
        if refused:
            return Outcome(refused=refused)
        switch = _switch(live, target, comparison, order)
        # What is kept for good names no rows: their keys may be somebody's data.
        noted = msgspec.structs.replace(switch, comparison=msgspec.structs.replace(comparison, examples=()))
        declined = max(live.declined, live.version if order.force else 0)
        done = await frozen.switch(
            target.number,
            noted,
            kept_until=order.now + order.keep,
            declined=declined if declined > target.version else 0,
        )
    if not done:
        return Outcome()
    _tell(switch)
    return Outcome(switch)


def _switch(live: Build, target: Build, comparison: Comparison, order: Order) -> Switch:
    return Switch(
        random_id(order.now),
        live.projection,
        live.number,
        live.version,
        target.number,
        target.version,
        live.cursor,
        comparison,
        order.by,
        order.reason,
        order.now,
    )


def _tell(switch: Switch) -> None:
    found = switch.comparison
    log.info(
        "projection %s: build %d (version %d) takes the place of %d (version %d) at position %d; of %d rows %d differ",
        switch.projection,
        switch.to_build,
        switch.to_version,
        switch.from_build,
        switch.from_version,
        switch.position,
        found.compared,
        found.unequal,
    )
    if found.parks:
        log.error("projection %s: %d keys are parked that were not before", switch.projection, len(found.parks))
