"""How far behind those are who read the bus, as the broker itself tells it."""

from __future__ import annotations

from typing import Any

import msgspec

from infra.nats.connection import Connection, JetStreamError
from infra.nats.provision import EV, NOT_FOUND, SPOOL, SPOOL_CONSUMER, find_stream


class SpoolLag(msgspec.Struct, frozen=True):
    """Messages of the spool: the last one finished with all those before it, how many wait, how many are in hand."""

    finished: int
    waiting: int
    in_hand: int


async def relayed(connection: Connection) -> int | None:
    """The last position on the stream of facts, whoever relays; None when there is no stream. Raises BusUnavailable."""
    found = await find_stream(connection, EV)
    return None if found is None else int(found["state"]["last_seq"])


async def spooled(connection: Connection) -> SpoolLag | None:
    """Where the one consumer of the spool is, for all hosts; None when there is none. Raises BusUnavailable."""
    try:
        info: dict[str, Any] = await connection.jetstream(f"CONSUMER.INFO.{SPOOL}.{SPOOL_CONSUMER}")
    except JetStreamError as error:
        if error.number in NOT_FOUND:
            return None
        raise
    return SpoolLag(int(info["ack_floor"]["stream_seq"]), int(info["num_pending"]), int(info["num_ack_pending"]))
