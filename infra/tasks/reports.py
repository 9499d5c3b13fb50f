"""Where the host takes results of calls, and questions for leave to begin, for the partitions it owns.

A result is acknowledged once it is in the log, and repeated by its worker until then. One that comes too late is
recorded: it settles an effect that was unknown, or else the run is told and keeps it, without applying it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from actors.core.deciding import EffectBody
from actors.core.outputs import Outcome
from actors.workflows.tasks import TaskResult
from events.envelope import Message
from events.errors import Conflict, KeyReused, NotFound, ThespisError
from events.ids import digest, keyed
from events.store import Effect
from infra.nats.client import Client
from infra.nats.connection import Connection, Listening
from infra.tasks.dispatch import Dispatch, Owned
from infra.tasks.pending import Pending, Unsure
from infra.tasks.wire import (
    GONE,
    LATER,
    NO,
    OK,
    YES,
    Report,
    claim_subject,
    decode_claim,
    decode_report,
    encode,
    report_subject,
)

log = logging.getLogger("thespis.tasks")

Lookup = Callable[[str], Awaitable[Effect | None]]
"""Reads one row of the ledger of effects."""

_body = msgspec.json.Decoder(EffectBody).decode


class _Outcome(msgspec.Struct):
    result: Any = None
    error: str = ""


class Reports:
    """Serves `work.<partition>.…` while the partition is owned."""

    def __init__(
        self,
        connection: Connection,
        dispatch: Dispatch,
        client: Client,
        lookup: Lookup,
        owned: Owned,
        *,
        interval: float = 0.05,
    ) -> None:
        self._connection = connection
        self._dispatch = dispatch
        self._client = client
        self._lookup = lookup
        self._owned = owned
        self._interval = interval
        self._serving: dict[int, list[Listening]] = {}
        self._settling: dict[str, tuple[str, bytes, int]] = {}
        """Effect → (turn, whom to tell when the result is in the log, partition)."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Begin to serve, and follow the ownership."""
        self._spawn(self._follow())

    async def stop(self) -> None:
        """Serve no more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for partition in list(self._serving):
            await self._drop(partition)

    def closed(self, effect: str) -> None:
        """The outcome of an effect is in the log: its worker may forget it."""
        found = self._settling.pop(effect, None)
        if found is not None:
            self._answer(found[1], OK)

    async def _follow(self) -> None:
        while True:
            for partition in [p for p in self._serving if p not in self._owned]:
                await self._drop(partition)
            for partition in [p for p in self._owned if p not in self._serving]:
                self._serving[partition] = [
                    await self._connection.listen(report_subject(partition), self._on_report),
                    await self._connection.listen(claim_subject(partition), self._on_claim),
                ]
            await asyncio.sleep(self._interval)

    async def _drop(self, partition: int) -> None:
        for listening in self._serving.pop(partition):
            await listening.stop()
        for effect in [effect for effect, found in self._settling.items() if found[2] == partition]:
            del self._settling[effect]

    # -- leave to begin

    def _on_claim(self, subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        claim = decode_claim(data)
        pending = self._dispatch.pending.get(claim.effect)
        if pending is None:
            self._spawn(self._claimed_unknown(claim.effect, reply))
        elif pending.cancelled or pending.turn not in (None, claim.turn):
            self._answer(reply, GONE)
        elif pending.claimed and pending.worker != claim.worker:
            self._answer(reply, NO)
        else:
            pending.turn, pending.worker, pending.claimed = claim.turn, claim.worker, True
            pending.since = self._loop.time()
            self._answer(reply, YES)

    async def _claimed_unknown(self, effect: str, reply: bytes) -> None:
        row = await self._lookup(effect)
        open_ = row is not None and row.status in ("requested", "started")
        self._answer(reply, LATER if open_ else GONE)

    # -- results

    def _on_report(self, subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        report = decode_report(data)
        pending = self._dispatch.pending.get(report.effect)
        if pending is not None and pending.turn in (None, report.turn) and not pending.done.done():
            self._settling[report.effect] = (report.turn, reply, pending.partition)
            self._settle(pending, report)
            return
        settling = self._settling.get(report.effect)
        if settling is not None and settling[0] == report.turn:
            del self._settling[report.effect]
            self._spawn(self._late(report, reply))  # it comes again because that took long: see how far it is
        elif settling is not None or pending is not None:
            self._answer(reply, LATER)  # too late, but for now the run could mistake it for the result it waits for
        else:
            self._spawn(self._late(report, reply))

    def _settle(self, pending: Pending, report: Report) -> None:
        pending.worker = report.worker
        if not report.unknown:
            pending.done.set_result(report.result)
        else:
            pending.done.set_exception(Unsure(report.unknown))

    async def _late(self, report: Report, reply: bytes) -> None:
        """Nobody here waits for it: it came twice, too late, or before this host took up the run's calls."""
        try:
            row = await self._lookup(report.effect)
            if row is None:
                self._answer(reply, OK)
            elif row.status in ("requested", "started"):
                self._answer(reply, LATER)
            elif report.unknown or _recorded(row, report.result):
                self._answer(reply, OK)
            else:
                await self._record(row, report)
                self._answer(reply, OK)
        except ThespisError as error:
            log.info("a late result of %s waits: %s", report.effect, error)
            self._answer(reply, LATER)

    async def _record(self, row: Effect, report: Report) -> None:
        by = f"worker:{report.worker}"
        if row.status == "unknown":
            stored = encode(_Outcome(report.result))
            with suppress(Conflict, NotFound):
                await self._client.resolve(row.tenant, row.id, "succeeded", stored, by, "the result came late")
                return
        told = Outcome(row.id, row.kind, _body(row.data).ref, "succeeded", report.result)
        body = encode(told)
        message = Message(
            keyed(row.tenant, "late", row.id, report.turn), "Outcome", row.stream, row.tenant, body, by,
            self._client.now(), row.causation, row.correlation, digest=digest("Outcome", body), trace=row.trace,
        )  # fmt: skip
        with suppress(KeyReused):
            await self._client.ask(message)

    def _answer(self, reply: bytes, what: bytes) -> None:
        with suppress(ThespisError):
            self._connection.write(b"PUB %b %d\r\n%b\r\n" % (reply, len(what), what))

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(_ended, self._tasks))


def _recorded(row: Effect, result: TaskResult) -> bool:
    """Whether this very result is the one in the ledger."""
    if row.outcome is None:
        return False
    stored = msgspec.json.decode(row.outcome, type=_Outcome).result
    return stored == msgspec.json.decode(encode(result))


def _ended(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a report was not handled", exc_info=error)
