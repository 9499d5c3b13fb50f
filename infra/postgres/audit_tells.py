"""Every tell a decision sent is found again: the message log says how many there were, their ids say whose they are.

Counted where they are, by ranges of the primary key, a page of senders at a time; memory does not grow with the log.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from itertools import islice
from typing import Any, Final

import msgspec

from events.ids import TIMERS, derived
from infra.postgres.connection import Connection

SHOWN: Final = 10
PAGE: Final = 5_000
OPEN: Final = 200_000
"""Senders of which something is not in the message log, kept in memory until the mailboxes are looked through."""

STATEMENT: Final = "every tell that was sent was handled, or waits"
MEANING: Final = "rows of the mailbox or of the message log are gone: the receiver never learns what it was told"
WAY_OUT: Final = (
    "see with `thespis replay` what the sender decided there, and send the receiver what is missing as a new message; "
    "or restore the newest backup that `thespis log verify` finds sound, beside this database, and compare"
)

_SINCE: Final = "select coalesce((select messages from thespis.horizon limit 1), 0)"
_WHEN: Final = "select to_char(to_timestamp($1::bigint / 1e6) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
# A tell is never handled before it was sent, so what was sent after the horizon is remembered.
_SENDERS: Final = """
declare senders no scroll cursor for
 select id::text, stream, version, time, told from thespis.messages where told > 0 and recorded_at >= {since}"""
_WAITING: Final = "declare waiting no scroll cursor for select id::text from thespis.mailbox"
_HANDLED: Final = """
select c.count from unnest($1::uuid[], $2::uuid[]) with ordinality w(first, last, n)
 cross join lateral (select count(*) from thespis.messages m where m.id between w.first and w.last) c order by w.n"""
_INDEX_ONLY: Final = "select set_config('enable_seqscan', $1, true)"


class _Sender(msgspec.Struct):
    """A decision that sent `told` tells, `found` of them known so far."""

    stream: str
    version: int
    message: str
    told: int
    found: int


async def missing(connection: Connection) -> tuple[str, list[str], int]:
    """What was counted, the first decisions whose tells are not all there (or too many), and how many there are.

    Of decisions before the horizon of `EventStore.prune` nothing is said. In one transaction that sees one snapshot.
    """
    since: int = await connection.fetchval(_SINCE)
    decisions = tells = count = 0
    faults: list[str] = []
    short: dict[str, _Sender] = {}

    async def close() -> None:
        nonlocal count
        wrong = await _not_waiting(connection, short)
        count += len(wrong)
        faults.extend(_fault(prefix, one) for prefix, one in islice(wrong.items(), SHOWN - len(faults)))
        short.clear()

    async for rows in _pages(connection, _SENDERS.format(since=int(since)), "senders"):
        prefixes = [derived(stream, id, time) for id, stream, _, time, _ in rows]
        found = await _handled(connection, prefixes)
        decisions += len(rows)
        for prefix, (id, stream, version, _, told), handled in zip(prefixes, rows, found, strict=True):
            tells += told
            if told != handled:
                short[prefix] = _Sender(stream, version, id, told, handled)
        if len(short) >= OPEN:
            await close()
    await close()
    over = f"{tells:,} tells of {decisions:,} decisions"
    if since:
        over += f", those decided since {await connection.fetchval(_WHEN, since)} UTC"
    return over, faults, count


async def _handled(connection: Connection, prefixes: list[str]) -> list[int]:
    """How many messages with these beginnings were handled, those of timers left out."""
    firsts = [f"{prefix}0000" for prefix in prefixes]
    lasts = [f"{prefix}{TIMERS - 1:04x}" for prefix in prefixes]
    await connection.fetchval(_INDEX_ONLY, "off")
    rows = await connection.fetch(_HANDLED, firsts, lasts)
    await connection.fetchval(_INDEX_ONLY, "on")
    return [row[0] for row in rows]


async def _not_waiting(connection: Connection, short: dict[str, _Sender]) -> dict[str, _Sender]:
    """Those of which something is missing when the mailboxes are counted too."""
    if short:
        async for rows in _pages(connection, _WAITING, "waiting"):
            for (id,) in rows:
                sender = short.get(id[:32])
                if sender is not None:
                    sender.found += 1
    return {prefix: sender for prefix, sender in short.items() if sender.found != sender.told}


async def _pages(connection: Connection, declare: str, name: str) -> AsyncGenerator[list[Any]]:
    await connection.execute(declare)
    while rows := await connection.fetch(f"fetch forward {PAGE} from {name}"):
        yield rows
    await connection.execute(f"close {name}")


def _fault(prefix: str, sender: _Sender) -> str:
    return (
        f"{sender.stream} told {sender.told} when it decided message {sender.message} (version {sender.version}): "
        f"of the tells {prefix}…, {sender.found} were handled or wait"
    )
