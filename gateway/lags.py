"""How far behind the readers of the log and the bus are, wherever they run: the relay, the spool, the routers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from actors.core.host import Host
from actors.core.router import Router
from events.address import DEFAULT_TENANT, partition_of
from events.errors import ThespisError
from events.system import Routed
from gateway.http.door import Consumer
from infra.nats import lag
from infra.nats.connection import Connection
from infra.nats.relay import Relay

LOOKED: Final = 20_000
"""Positions in which the facts are counted that a router elsewhere has not routed."""


async def consumers(host: Host, relay: Relay, relaying: bool, connection: Connection) -> Sequence[Consumer]:
    """All of them. What the bus cannot tell now has no figures; raises StoreUnavailable."""
    head = await host.store.head()
    return [
        await _relay(head, relay, relaying, connection),
        await _spool(connection),
        *[await _router(head, router, host) for router in host.routers],
    ]


async def _relay(head: int, relay: Relay, relaying: bool, connection: Connection) -> Consumer:
    try:
        at = await lag.relayed(connection)
    except ThespisError as error:
        return Consumer("relay", "relay", None, None, relaying, error.message)
    behind = head - at if at is not None else None
    return Consumer("relay", "relay", at, max(0, behind) if behind is not None else None, relaying, relay.trouble)


async def _spool(connection: Connection) -> Consumer:
    try:
        found = await lag.spooled(connection)
    except ThespisError as error:
        return Consumer("spool", "spool", None, None, True, error.message)
    if found is None:
        return Consumer("spool", "spool", None, None, True, "the stream is not there")
    detail = f"{found.in_hand} in hand" if found.in_hand else ""
    return Consumer("spool", "spool", found.finished, found.waiting + found.in_hand, True, detail)


async def _router(head: int, router: Router, host: Host) -> Consumer:
    here = partition_of(DEFAULT_TENANT, router.stream) in host.owned
    if here:
        return Consumer(router.stream, "router", router.cursor, max(0, head - router.cursor), True)
    loaded = (await host.store.load([(DEFAULT_TENANT, router.stream, "")]))[0]
    routed = 0
    if loaded.version:
        last = await host.store.read_stream(DEFAULT_TENANT, router.stream, loaded.version - 1)
        routed = msgspec.json.decode(last[-1].data, type=Routed).upto
    # Its cursor is recorded only when there was something to route, so what counts is what is left to be routed.
    facts = await host.store.read(max(routed, head - LOOKED), LOOKED, router.types)
    return Consumer(router.stream, "router", routed, len(facts), False)
