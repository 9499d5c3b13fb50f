"""What `thespis doctor` examines of a running instance: its servers, and what lags or waits for a person."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from events.errors import ThespisError
from gateway.cli.checks import Check, Finding, Patient
from gateway.cli.http import Api

LAG: Final = 10_000
"""Events: a projection or the relay further behind than this is worth a warning."""


def _skipped(name: str, patient: Patient) -> Finding:
    return Finding(name, "skipped", patient.absent or "no instance runs here", "start one with `thespis up`")


async def instance(patient: Patient) -> Finding:
    """It answers, and says that it is ready."""
    if patient.place is None:
        return _skipped("instance", patient)
    async with Api(patient.place, timeout=10) as api:
        await api.get("/healthz")
        try:
            checks: dict[str, Any] = (await api.get("/readyz"))["checks"]
        except ThespisError as error:
            return Finding("instance", "failed", f"not ready: {error.message}", "see the checks below, and its log")
    wrong = [f"{name}: {check.get('detail') or 'not well'}" for name, check in checks.items() if not check["ok"]]
    if wrong:
        return Finding("instance", "failed", "; ".join(wrong), "see the checks below, and its log")
    return Finding("instance", "ok", f"{patient.place.url} is ready")


async def postgres(patient: Patient) -> Finding:
    """The database answers, and is at the migrations of this code."""
    url = os.environ.get("DATABASE_URL") or (patient.place.database_url if patient.place else "")
    if not url:
        return _skipped("postgres", patient)
    from gateway.direct import migrations_of

    known, applied, server = await migrations_of(url)
    detail = f"PostgreSQL {server}, migrations {len(applied)} of {len(known)}"
    newer = applied - known
    if newer:
        return Finding("postgres", "failed", f"{detail}; {max(newer):04} is not known here", "upgrade thespis")
    if known - applied:
        return Finding("postgres", "warning", detail, "start thespis on it: it applies them")
    return Finding("postgres", "ok", detail)


NEWEST: Final = 50_000
"""Events of the log that are verified here; `thespis log verify` looks at all of it."""


async def log(patient: Patient) -> Finding:
    """The newest part of the log is whole."""
    url = os.environ.get("DATABASE_URL") or (patient.place.database_url if patient.place else "")
    if not url:
        return _skipped("log", patient)
    from gateway.direct import open_audit
    from gateway.proof.verifying import verify

    looked = 0

    def advance(events: int) -> None:
        nonlocal looked
        looked += events

    async with open_audit(url) as audit:
        checks = await verify(audit, advance, last=NEWEST)
    wrong = [check for check in checks if not check.passed]
    if wrong:
        detail = "; ".join(f"not true: {check.statement} ({check.count:,} times, {check.faults[0]})" for check in wrong)
        return Finding("log", "failed", detail, f"{wrong[0].way_out}; `thespis log verify` looks at all of it")
    return Finding("log", "ok", f"the newest {looked:,} events are whole; `thespis log verify` looks at all of it")


async def nats(patient: Patient) -> Finding:
    """The bus answers, and has JetStream."""
    url = os.environ.get("NATS_URL") or (patient.place.nats_url if patient.place else "")
    if not url:
        return _skipped("nats", patient)
    parts = urlsplit(url.split(",")[0])
    host, port = parts.hostname or "127.0.0.1", parts.port or 4222
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 5)
    except (OSError, TimeoutError) as error:
        return Finding("nats", "failed", f"{host}:{port} does not answer: {error}", "is it running? check NATS_URL")
    try:
        line = await asyncio.wait_for(reader.readline(), 5)
    finally:
        writer.close()
    if not line.startswith(b"INFO "):
        return Finding("nats", "failed", f"{host}:{port} is not a NATS server", "check NATS_URL")
    info: dict[str, Any] = msgspec.json.decode(line[5:])
    detail = f"NATS {info.get('version')} on {host}:{port}"
    if not info.get("jetstream"):
        return Finding("nats", "failed", f"{detail} has no JetStream", "start it with nats.conf, or with -js")
    return Finding("nats", "ok", detail)


async def relay(patient: Patient) -> Finding:
    """What is committed reaches the bus."""
    if patient.place is None:
        return _skipped("relay", patient)
    async with Api(patient.place, timeout=10) as api:
        text = await api.text("/metrics")
        head: int = (await api.get("/v1/events", {"limit": 1}))["head"]
    found = {name: float(value) for name, value in re.findall(r"^(thespis_\w+) ([0-9.e+-]+)$", text, re.MULTILINE)}
    lag = found.get("thespis_relay_lag", 0.0)
    detail = f"head of the log {head}, {lag:.0f} events not yet on the bus"
    if lag > LAG:
        return Finding("relay", "warning", detail, "wait; if it grows, look at the log of the host and at NATS")
    return Finding("relay", "ok", detail)


async def projections(patient: Patient) -> Finding:
    """No projection is far behind, none has parked keys."""
    if patient.place is None:
        return _skipped("projections", patient)
    async with Api(patient.place, timeout=10) as api:
        found: list[dict[str, Any]] = (await api.get("/v1/projections"))["projections"]
    parked = [item["name"] for item in found if item.get("parked")]
    if parked:
        way = "correct the projection, then `thespis projections rebuild NAME`"
        return Finding("projections", "failed", f"events could not be folded: {', '.join(parked)}", way)
    late = [f"{item['name']} {item['lag']}" for item in found if (item.get("lag") or 0) > LAG]
    if late:
        return Finding(
            "projections", "warning", f"behind: {', '.join(late)}", "wait; if it grows, look at the host's log"
        )
    return Finding("projections", "ok", f"{len(found)} up to date")


async def consumers(patient: Patient) -> Finding:
    """Whoever reads the log or the bus in order keeps up."""
    if patient.place is None:
        return _skipped("consumers", patient)
    async with Api(patient.place, timeout=10) as api:
        found: list[dict[str, Any]] = (await api.get("/v1/consumers"))["consumers"]
    late = [item for item in found if (item.get("lag") or 0) > LAG]
    if late:
        some = ", ".join(f"{item['name']} {item['lag']:,}{_note(item)}" for item in late)
        way = "wait; if it grows, look at the log of the host that runs it, and at `thespis projections list`"
        return Finding("consumers", "warning", f"behind by so many events: {some}", way)
    return Finding("consumers", "ok", f"{len(found)} keep up")


def _note(item: dict[str, Any]) -> str:
    return f" ({item['detail']})" if item.get("detail") else ""


async def inbox(patient: Patient) -> Finding:
    """Nothing waits for a person."""
    if patient.place is None:
        return _skipped("inbox", patient)
    async with Api(patient.place, timeout=10) as api:
        answer = await api.get("/v1/projections/inbox", {"where": "open=true", "limit": 100})
    items: list[dict[str, Any]] = answer["rows"]
    if items:
        some = ", ".join(str(item.get("address")) for item in items[:3])
        more = "…" if len(items) > 3 else ""
        way = "`thespis inbox list`, then `thespis inbox show POSITION`: it names the commands that close an item"
        return Finding("inbox", "warning", f"{len(items)} wait for a person: {some}{more}", way)
    return Finding("inbox", "ok", "nothing waits for a person")


INSTANCE: Final[list[Check]] = [instance, postgres, log, nats, relay, projections, consumers, inbox]
