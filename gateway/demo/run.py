"""The demo itself: move money while killing the host, then prove from the log that none was lost."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from events.errors import Conflict, DeadlineExceeded
from events.store import EventStore
from gateway.demo.digest import Digest, digest
from gateway.demo.host import HostProcess
from gateway.demo.plan import Plan, Step, plan
from gateway.demo.proof import LedgerProof
from gateway.demo.traffic import PATIENCE, Traffic, together
from gateway.proof import Check, LogProof, verdict, witness
from infra.embedded.servers import EmbeddedServers
from infra.postgres.store import open_store

POLL = 0.05


class Report(msgspec.Struct):
    """What was done and what was proved. Times are seconds."""

    seed: int
    transfers: int
    accounts: int
    kills: int
    tries: int
    acknowledgements: int
    ends: dict[str, int]
    events: int
    seconds: float
    outages: list[float]
    """From each SIGKILL to the next acknowledgement."""
    checks: list[Check]
    digest: Digest | None = None

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return all(check.passed for check in [*self.checks, *(self.digest.checks if self.digest else ())])


async def demo(
    data: Path | None = None,
    *,
    transfers: int = 10_000,
    accounts: int = 1_000,
    kills: int = 8,
    seed: int | None = None,
    workflow: bool = True,
    out: Console | None = None,
) -> Report:
    """Run it on servers of its own in `data`, or in a temporary directory, and say how it went.

    The host is killed `kills` times, at moments drawn from `seed`. With `workflow`, a second part runs the digest of
    real files, with two more kills. Call it in the main thread.
    Raises Conflict when `data` is in use or holds a log already, and what starting the servers may raise.
    """
    out = out or Console()
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    async with AsyncExitStack() as stack:
        directory = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thespis-demo-")))
        out.print(f"Seed {seed}. Starting Postgres, NATS and a host in {directory} …")
        servers = await stack.enter_async_context(EmbeddedServers(directory))
        assert servers.postgres is not None
        assert servers.nats is not None
        host_in = partial(
            HostProcess,
            directory / "host",
            database_url=servers.postgres.socket_url,
            nats_url=servers.nats.url("host"),
            relay_url=servers.nats.url("relay"),
        )
        store = await stack.enter_async_context(open_store(servers.postgres.socket_url))
        if await store.head():
            raise Conflict(f"{directory} holds a log already", hint="the demo wants a directory of its own")
        host = host_in()
        await stack.enter_async_context(host)
        traffic = await stack.enter_async_context(Traffic([host.url]))
        report = await _play(host, store, traffic, plan(seed, transfers, accounts), kills, seed, out)
        if workflow:
            out.print("Now a workflow: a digest of the project's own Markdown, approved and written …")
            await host.stop()
            report.digest = await digest(store, lambda at: host_in(workspace=at), directory, seed, out.print)
    _print(report, out)
    return report


async def _play(
    host: HostProcess, store: EventStore, traffic: Traffic, todo: Plan, kills: int, seed: int, out: Console
) -> Report:
    opened = len(todo.opening)
    await traffic.run(todo.opening, _accepted)
    await traffic.run(todo.closing, _accepted)
    out.print(f"{opened:,} accounts are open. Moving money, and killing the host {kills} times …")
    began = monotonic()
    with _progress(out) as progress:
        moving = progress.add_task("acknowledged", total=len(todo.transfers))
        killer = Killer(host, random.Random(seed), kills, len(todo.transfers), out.print)

        def told(step: Step, answer: dict[str, Any]) -> None:
            _accepted(step, answer)
            todo.asked[step.to].positions.append(answer["position"])
            progress.advance(moving)
            killer.acknowledged()

        await together(killer.run(), traffic.run(todo.transfers, told))
        ending = progress.add_task("ended", total=len(todo.transfers))
        head = await ended(store, len(todo.transfers), lambda count: progress.update(ending, completed=count))
    seconds = monotonic() - began
    out.print("Everything has ended. Reading the log …")
    rows = await traffic.rows("balances", head)
    ledger = LedgerProof(todo.asked, {row["account"]: row["balance"] for row in rows})
    checks = await witness(store, LogProof(), ledger)
    return Report(
        seed=seed,
        transfers=len(todo.transfers),
        accounts=opened,
        kills=kills,
        tries=traffic.tries,
        acknowledgements=sum(len(asked.positions) for asked in todo.asked.values()),
        ends=dict(sorted(ledger.ends.items())),
        events=head,
        seconds=seconds,
        outages=killer.outages,
        checks=checks,
    )


class Killer:
    """Kills a host when so many acknowledgements were counted, and starts it again at once."""

    def __init__(
        self, host: HostProcess, moments: random.Random, kills: int, total: int, say: Callable[[str], None]
    ) -> None:
        self._host = host
        # Not before the first acknowledgement, so that each kill meets work under way.
        self._left = sorted(moments.randint(1, max(1, total)) for _ in range(kills))
        self._count = 0
        self._counted = asyncio.Event()
        self._total = total
        self._say = say
        self._killed: float | None = None
        self.outages: list[float] = []

    def acknowledged(self) -> None:
        """Count one more."""
        self._count += 1
        self._counted.set()
        if self._killed is not None:
            self.outages.append(monotonic() - self._killed)
            self._killed = None

    async def run(self) -> None:
        """Until every kill was done."""
        for number, moment in enumerate(self._left, 1):
            while self._count < moment:
                self._counted.clear()
                await self._counted.wait()
            await self._host.kill()
            if self._count < self._total:
                self._killed = monotonic()
            self._say(f"  SIGKILL {number} after {self._count:,} acknowledgements")
            self._host.start()
            await self._host.ready()


async def ended(store: EventStore, transfers: int, count: Callable[[int], None]) -> int:
    """Wait until so many transfers have ended, as the log says; returns its head. Raises DeadlineExceeded."""
    seen = LedgerProof({})
    after, deadline = 0, monotonic() + PATIENCE
    while True:
        while events := await store.read(after, 5000):
            for event in events:
                seen.see(event)
            after = events[-1].position
        done = sum(seen.ends.values())
        count(done)
        if done >= transfers:
            return after
        if monotonic() > deadline:
            raise DeadlineExceeded(f"{transfers - done} transfers have not ended after {PATIENCE:.0f} s")
        await asyncio.sleep(POLL)


def _accepted(step: Step, answer: dict[str, Any]) -> None:
    if answer["outcome"] != "handled":
        raise RuntimeError(f"{step.to} did not take {step.message} {step.data}: {answer}")


def _progress(out: Console) -> Progress:
    columns = TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=out)


def _print(report: Report, out: Console) -> None:
    for line in verdict(report.checks):
        out.print(line, markup=False, highlight=False, style="green" if line.startswith("proved") else "red")
    worst = f", longest outage {max(report.outages):.1f} s" if report.outages else ""
    out.print(
        f"{report.transfers:,} transfers among {report.accounts:,} accounts in {report.seconds:.1f} s, "
        f"{report.kills} kills{worst}; {report.tries - report.transfers - report.accounts:,} requests were repeated; "
        f"{report.events:,} events.",
        markup=False,
        highlight=False,
    )
    if report.digest is not None:
        _print_digest(report.digest, out)
    good = "[green]Nothing was lost and nothing happened twice.[/]"
    out.print(good if report.passed else f"[red]This is a fault. Repeat it with --seed {report.seed}.[/]")


def _print_digest(found: Digest, out: Console) -> None:
    for line in verdict(found.checks):
        out.print(line, markup=False, highlight=False, style="green" if line.startswith("proved") else "red")
    out.print(
        f"A digest of {found.files} files, then again with {found.fresh} of them new, in {found.seconds:.1f} s, "
        f"{len(found.kills)} kills.",
        markup=False,
        highlight=False,
    )
