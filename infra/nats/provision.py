"""Streams and consumers as idempotent code: created when missing, updated when they drifted, healed after a wipe."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any, Final

import msgspec

from infra.nats.connection import Connection, JetStreamError

EV: Final = "EV"
SPOOL: Final = "SPOOL"
SPOOL_CONSUMER: Final = "thespis"

log = logging.getLogger("thespis.nats")

NOT_FOUND = (10059, 10014)
"""`err_code` of a stream or a consumer that does not exist."""
NO_ROOM = (10047, 10023)
"""`err_code` of a stream that may become larger than the server's storage."""
LEAST_BYTES = 16 * 1024 * 1024
SECOND = 1_000_000_000


class Retention(msgspec.Struct, frozen=True):
    """How much is kept on the bus. The log keeps everything; these only bound what the bus can be asked for.

    Ages in seconds, sizes in bytes, 0 for no bound. `replicas` is 1, 3 or 5, for clusters.
    """

    facts_age: int = 7 * 24 * 3600
    facts_bytes: int = 2 * 1024**3
    spool_age: int = 0
    spool_bytes: int = 2 * 1024**3
    replicas: int = 1


class StreamState(msgspec.Struct, frozen=True):
    """What matters of a stream: sequence numbers of its first and last message, how many it holds, since when."""

    messages: int
    first: int
    last: int
    created: str


def facts_config(retention: Retention) -> dict[str, Any]:
    """The stream of committed events. Full means the oldest go: they can be read from the log."""
    return {
        "name": EV,
        "subjects": ["ev.>"],
        "retention": "limits",
        "discard": "old",
        "storage": "file",
        "num_replicas": retention.replicas,
        "max_age": retention.facts_age * SECOND,
        "max_bytes": retention.facts_bytes or -1,
        "allow_direct": True,
    }


def spool_config(retention: Retention) -> dict[str, Any]:
    """The work queue of messages from publishers that do not wait. Full means publishers are told so."""
    return {
        "name": SPOOL,
        "subjects": ["spool.>"],
        "retention": "workqueue",
        "discard": "new",
        "storage": "file",
        "num_replicas": retention.replicas,
        "max_age": retention.spool_age * SECOND,
        "max_bytes": retention.spool_bytes or -1,
    }


def spool_consumer_config(max_ack_pending: int, ack_wait: float) -> dict[str, Any]:
    """The one durable consumer all hosts pull from."""
    return {
        "durable_name": SPOOL_CONSUMER,
        "name": SPOOL_CONSUMER,
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "ack_wait": int(ack_wait * SECOND),
        "max_ack_pending": max_ack_pending,
        "max_deliver": -1,
        "max_waiting": 512,
    }


async def find_stream(connection: Connection, name: str) -> dict[str, Any] | None:
    """A stream's info, or None. Raises BusUnavailable, JetStreamError."""
    try:
        return await connection.jetstream(f"STREAM.INFO.{name}")
    except JetStreamError as error:
        if error.number in NOT_FOUND:
            return None
        raise


async def ensure_stream(connection: Connection, wanted: dict[str, Any], first: int = 1) -> StreamState:
    """Create the stream with its first sequence number `first`, or update what differs; the state it is in.

    Settings this code does not name stay as they are. A server with less room than asked for gets less. Raises
    BusUnavailable, and JetStreamError for a difference that cannot be updated (the storage, the retention).
    """
    name = wanted["name"]
    info = await find_stream(connection, name)
    if info is None:
        info = await _fitting(connection, f"STREAM.CREATE.{name}", {**wanted, "first_seq": max(first, 1)}, LEAST_BYTES)
    elif _differs(wanted, info["config"]):
        now: int = info["config"].get("max_bytes", -1)
        changed = {**info["config"], **wanted}
        info = await _fitting(connection, f"STREAM.UPDATE.{name}", changed, now if now > 0 else LEAST_BYTES) or info
    assert info is not None
    return _state(info)


async def _fitting(connection: Connection, action: str, config: dict[str, Any], least: int) -> dict[str, Any] | None:
    """Create or update with `max_bytes` halved until the server has room; None when that would be no more than what
    is there already.
    """
    while True:
        try:
            return await connection.jetstream(action, config)
        except JetStreamError as error:
            smaller = config["max_bytes"] // 2
            if error.number not in NO_ROOM or smaller < LEAST_BYTES:
                raise
            if action.startswith("STREAM.UPDATE") and smaller <= least:
                return None
            log.info("%s: the server has no room for %d bytes", action, config["max_bytes"])
            config = {**config, "max_bytes": smaller}


async def ensure_consumer(connection: Connection, stream: str, wanted: dict[str, Any]) -> None:
    """Create the durable consumer, or update what differs. Raises BusUnavailable, JetStreamError (no such stream)."""
    name = wanted["durable_name"]
    try:
        info = await connection.jetstream(f"CONSUMER.INFO.{stream}.{name}")
    except JetStreamError as error:
        if error.number not in NOT_FOUND:
            raise
        info = None
    if info is None or _differs(wanted, info["config"]):
        config: dict[str, Any] = {**(info["config"] if info else {}), **wanted}
        body: dict[str, Any] = {"stream_name": stream, "config": config, "action": ""}
        await connection.jetstream(f"CONSUMER.DURABLE.CREATE.{stream}.{name}", body)


async def recreate_stream(
    connection: Connection, wanted: dict[str, Any], first: int
) -> tuple[StreamState, list[tuple[int, dict[str, Any]]]]:
    """Throw the stream away and begin again at sequence number `first`.

    Also returns the durable consumers that were lost with it, as (last sequence number acknowledged, configuration), to
    be given to `restore_consumer` when the stream is filled that far again.
    """
    name = wanted["name"]
    lost: list[tuple[int, dict[str, Any]]] = []
    try:
        lost = [(c["ack_floor"]["stream_seq"], c["config"]) for c in await _consumers(connection, name)]
        await connection.jetstream(f"STREAM.DELETE.{name}")
    except JetStreamError as error:
        if error.number not in NOT_FOUND:
            raise
    durable = [(floor, config) for floor, config in lost if config.get("durable_name")]
    return await ensure_stream(connection, wanted, first), sorted(durable, key=lambda item: item[0])


async def restore_consumer(connection: Connection, stream: str, floor: int, config: dict[str, Any]) -> None:
    """Create a durable consumer again, to go on after `floor`. One that exists in the meantime is left alone."""
    again = {key: value for key, value in config.items() if key not in ("opt_start_time", "metadata")}
    again |= {"deliver_policy": "by_start_sequence", "opt_start_seq": floor + 1}
    body = {"stream_name": stream, "config": again, "action": "create"}
    with suppress(JetStreamError):
        await connection.jetstream(f"CONSUMER.DURABLE.CREATE.{stream}.{config['durable_name']}", body)


async def _consumers(connection: Connection, stream: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = await connection.jetstream(f"CONSUMER.LIST.{stream}", {"offset": len(found)})
        consumers: list[dict[str, Any]] = page.get("consumers") or []
        found += consumers
        if not consumers or len(found) >= page["total"]:
            return found


def _differs(wanted: dict[str, Any], found: dict[str, Any]) -> bool:
    return any(found.get(key, 0) != value for key, value in wanted.items())


def _state(info: dict[str, Any]) -> StreamState:
    state = info["state"]
    return StreamState(state["messages"], state["first_seq"], state["last_seq"], info["created"])
