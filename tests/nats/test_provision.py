"""Streams and consumers as code: safe to run again, over what is there and over what drifted."""

from __future__ import annotations

from typing import Any

import pytest

from infra.nats.connection import Connection, JetStreamError
from infra.nats.provision import (
    EV,
    SPOOL,
    SPOOL_CONSUMER,
    Retention,
    ensure_consumer,
    ensure_stream,
    facts_config,
    find_stream,
    spool_config,
    spool_consumer_config,
)


async def config_of(connection: Connection, name: str) -> dict[str, Any]:
    found = await find_stream(connection, name)
    assert found is not None
    return found["config"]


async def consumer(connection: Connection) -> dict[str, Any]:
    return (await connection.jetstream(f"CONSUMER.INFO.{SPOOL}.{SPOOL_CONSUMER}"))["config"]


async def test_provisioning_twice_changes_nothing(connection: Connection) -> None:
    for wanted in (facts_config(Retention()), spool_config(Retention())):
        first = await ensure_stream(connection, wanted)
        before = await config_of(connection, wanted["name"])
        assert await ensure_stream(connection, wanted) == first
        assert await config_of(connection, wanted["name"]) == before
    await ensure_consumer(connection, SPOOL, spool_consumer_config(1000, 30))
    before = await consumer(connection)
    await ensure_consumer(connection, SPOOL, spool_consumer_config(1000, 30))
    assert await consumer(connection) == before


async def test_a_drifted_stream_is_put_right_and_the_rest_is_left(connection: Connection) -> None:
    wanted = facts_config(Retention())
    await ensure_stream(connection, {**wanted, "max_age": 5_000_000_000, "max_msgs": 77})
    await ensure_stream(connection, wanted)
    found = await config_of(connection, EV)
    assert found["max_age"] == wanted["max_age"]
    assert found["max_msgs"] == 77


async def test_a_drifted_consumer_is_put_right(connection: Connection) -> None:
    await ensure_stream(connection, spool_config(Retention()))
    await ensure_consumer(connection, SPOOL, spool_consumer_config(10, 5))
    await ensure_consumer(connection, SPOOL, spool_consumer_config(1000, 30))
    found = await consumer(connection)
    assert (found["max_ack_pending"], found["ack_wait"]) == (1000, 30_000_000_000)


async def test_a_first_sequence_is_that_of_a_new_stream_only(connection: Connection) -> None:
    state = await ensure_stream(connection, facts_config(Retention()), 101)
    assert (state.messages, state.first, state.last) == (0, 101, 100)
    assert (await ensure_stream(connection, facts_config(Retention()), 500)).last == 100


async def test_what_cannot_be_changed_is_said(connection: Connection) -> None:
    await ensure_stream(connection, {**facts_config(Retention()), "storage": "memory", "max_bytes": -1})
    with pytest.raises(JetStreamError, match="storage"):
        await ensure_stream(connection, {**facts_config(Retention()), "max_bytes": -1})


async def test_a_server_with_little_room_gets_a_smaller_stream(connection: Connection) -> None:
    huge = facts_config(Retention(facts_bytes=1 << 50))
    await ensure_stream(connection, huge)
    smaller = (await config_of(connection, EV))["max_bytes"]
    assert 0 < smaller < 1 << 50
    await ensure_stream(connection, huge)
    assert (await config_of(connection, EV))["max_bytes"] == smaller


async def test_a_consumer_without_its_stream_is_said(connection: Connection) -> None:
    with pytest.raises(JetStreamError, match="stream not found"):
        await ensure_consumer(connection, SPOOL, spool_consumer_config(1000, 30))
