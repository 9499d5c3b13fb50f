"""Plans are made once per connection: each query must have its index plan on an empty table, and in a crowd."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from events.chain import GENESIS
from events.store import Append, NewEvent
from infra.eventsourcing import queries
from infra.postgres import open_store
from infra.postgres.connection import Link

FAR = 2**61
QUERIES: dict[str, tuple[str, tuple[Any, ...], set[str]]] = {
    "notifications": (queries.NOTIFICATIONS, ("default", "es/App", 5, FAR, 10), {"events_es"}),
    "notifications of topics": (
        queries.NOTIFICATIONS_OF,
        ("default", "es/App", 5, FAR, 10, ["a.B"], ["a:B"]),
        {"events_es"},
    ),
    "the last notification": (queries.LAST, ("default", "es/App"), {"events_es"}),
    "an aggregate": (queries.STREAM, ("default", "es/App.1", 0, FAR, 10), {"events_tenant_stream_version_key"}),
    "an aggregate, backwards": (
        queries.STREAM_BACKWARDS,
        ("default", "es/App.1", 0, FAR, 1),
        {"events_tenant_stream_version_key"},
    ),
    "the head": (queries.HEAD, (), {"events_pkey"}),
    "tracking": (queries.TRACKED, ("default", "es/App", "es/Up"), {"es_tracking_pkey"}),
    "records": (queries.RECORDS, ("default", "es/App", "snapshots", "1", 0, FAR, 10), {"es_records_pkey"}),
    "the last tag": (queries.LAST_TAGGED, ("default", "es/App"), {"es_tags_pkey"}),
}


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for inner in plan.get("Plans", []) for node in nodes(inner))]


def literals(args: tuple[Any, ...]) -> str:
    texts = [
        str(arg) if isinstance(arg, int) else f"'{{{','.join(arg)}}}'" if isinstance(arg, list) else f"'{arg}'"
        for arg in args
    ]
    return f"({', '.join(texts)})" if texts else ""


@pytest.mark.parametrize("crowd", [0, 20_000])
async def test_every_query_has_its_index_plan(postgres_url: str, crowd: int) -> None:
    async with open_store(postgres_url) as store:
        new = NewEvent("1", "Happened", 1, b"{}", "", "", GENESIS)
        for n in range(0, crowd, 5000):
            await store.bulk([Append("default", f"account/{n + m}", 0, None, 0, [new]) for m in range(5000)])
        es = NewEvent("1", "a.B", 1, b"{}", "", "", GENESIS, meta=b'{"extensions":{"esversion":"1","estopic":"a:B"}}')
        await store.bulk([Append("default", f"es/App.{m}", 0, None, 0, [es]) for m in range(100 if crowd else 0)])
    link = Link(postgres_url, "plans", 30.0)
    connection = await link.get()
    try:
        if crowd:
            await connection.execute("analyze thespis.events")
        for name, (query, args, wanted) in QUERIES.items():
            await connection.execute(f"prepare checked as {query}")
            plan = await connection.fetchval(f"explain (format json) execute checked{literals(args)}")
            await connection.execute("deallocate checked")
            found = nodes(json.loads(plan)[0]["Plan"])
            scans = {node["Index Name"] for node in found if "Index Name" in node} - {"blobs_pkey"}
            assert not [node for node in found if node["Node Type"] == "Seq Scan"], name
            assert scans == wanted, (name, scans)
    finally:
        await asyncio.shield(link.close())
