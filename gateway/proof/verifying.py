"""All of `thespis log verify`: a database in one snapshot, or an export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import BinaryIO, Final

from events.envelope import Event
from events.errors import InvalidData
from gateway.cli.exporting import from_line
from gateway.proof.check import Check
from gateway.proof.log import LogProof
from infra.postgres import audit_tells
from infra.postgres.audit import Audit
from infra.postgres.audit_rules import RULES

PAGE: Final = 5000
WINDOW: Final = 200_000
"""Events and streams of which more than the ids are kept in memory: about 150 MB."""

_Advance = Callable[[int], None]


async def verify(audit: Audit, advance: _Advance, *, last: int | None = None, window: int = WINDOW) -> list[Check]:
    """Hold a database against everything that must be true of it. Reads only, beside running hosts too.

    `last`: only that many events, the newest ones, and none of the rows beside them. `advance` is called with how many
    more events were looked at. Raises StoreUnavailable.
    """
    after = 0 if last is None else max(await audit.head() - last, 0)
    proof = LogProof(window, await audit.epochs(), after)
    rules = asyncio.create_task(_rules(audit, await audit.archived()) if last is None else _none())
    try:
        async for events in _pages(audit, after, min(PAGE, window)):
            wanted = proof.needs(events)
            proof.recall(await audit.ends(wanted) if wanted else {}, wanted)
            proof.see_all(events)
            advance(len(events))
        return [*proof.checks(), *await rules]
    finally:
        rules.cancel()
        await asyncio.gather(rules, return_exceptions=True)


async def _pages(audit: Audit, after: int, size: int) -> AsyncIterator[list[Event]]:
    """Pages in order; the next one is under way while the caller looks at this one."""
    coming = asyncio.create_task(audit.page(after, size))
    try:
        while events := await coming:
            coming = asyncio.create_task(audit.page(events[-1].position, size))
            # Let the query out before the caller keeps the loop busy: one turn to write it, one to flush it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            yield events
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def _none() -> list[Check]:
    return []


async def _rules(audit: Audit, after: int) -> list[Check]:
    checks: list[Check] = []
    for rule in RULES:
        over, faults, count = await audit.try_rule(rule, after)
        checks.append(Check(rule.statement, over, faults, count, rule.meaning, rule.way_out))
    over, faults, count = await audit.told()
    told = Check(audit_tells.STATEMENT, over, faults, count, audit_tells.MEANING, audit_tells.WAY_OUT)
    checks.insert(1, told)  # beside the rule that none was handled twice
    over, faults, count = await audit.misplaced()
    checks.append(
        Check(
            "what waits lies in the partition of its actor",
            over,
            faults,
            count,
            "no host looks for it there, so it waits for ever",
            "set `partition` to the one named, in thespis.mailbox, thespis.timers or thespis.effects",
        )
    )
    return checks


def verify_export(file: BinaryIO, advance: _Advance) -> list[Check]:
    """Hold an export against what must be true of any log. Raises InvalidData for a line that is none."""
    proof = LogProof()
    whole = Check(
        "the export is whole",
        meaning="it was broken off, or cut: events are missing at its end",
        way_out="call `thespis log export` with the same file again: it goes on where it stopped",
    )
    end: int | None = None
    position = 0
    for number, line in enumerate(file, 1):
        try:
            found = from_line(line)
        except InvalidData as error:
            if end is None and not line.endswith(b"\n"):
                break  # the part of a line it was broken off in
            raise InvalidData(f"line {number}: {error.message}") from None
        if isinstance(found, Event):
            if end is not None:
                raise InvalidData(f"line {number}: the export goes on after its last line", hint="are these several?")
            position = found.position
            proof.see(found)
            advance(1)
        else:
            end = found.end
    whole.over = f"{position:,} positions"
    whole.require(end is not None, f"there is no last line after position {position}")
    whole.require(end in (None, position), f"the last line says position {end}, the last event is {position}")
    return [whole, *proof.checks()]
