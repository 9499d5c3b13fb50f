"""Removing from the broker's disk what publishers spooled in plain text and the log has taken since.

JetStream leaves a message that was taken where it was until all of its block are. Purging everything removes the
files.
"""

from __future__ import annotations

import asyncio
from typing import Final

from infra.nats.connection import Connection
from infra.nats.provision import SPOOL, find_stream

PATIENCE: Final = 20.0
"""Seconds in which the spool should be empty once."""
PAUSE: Final = 0.1


async def forget_spooled(connection: Connection, patience: float = PATIENCE) -> list[str]:
    """Purge the spool at a moment when all of it is taken; returns in words what could not be removed.

    What is not taken yet stays, of course. Raises BusUnavailable, JetStreamError.
    """
    left: list[str] = []
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        info = await find_stream(connection, SPOOL)
        if info is None:
            return left
        if info["config"].get("num_replicas", 1) > 1:
            left = ["what was spooled stays in the journals of the NATS cluster until it compacts them"]
        state = info["state"]
        last: int = state["last_seq"]
        if state["messages"] == 0:
            # All before the next number, which is everything: one that arrives meanwhile is kept, and we try again.
            await connection.jetstream(f"STREAM.PURGE.{SPOOL}", {"seq": last + 1})
            info = await find_stream(connection, SPOOL)
            if info is None or info["state"]["last_seq"] == last:
                return left
        if asyncio.get_running_loop().time() > deadline:
            return [*left, "what was spooled stays in NATS's files until they are full: the spool was never empty"]
        await asyncio.sleep(PAUSE)
