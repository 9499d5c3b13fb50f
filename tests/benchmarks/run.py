"""Runs benchmark cases on servers of their own, as safe as in production, and prints one JSON line per result.

A module in this folder offers `CASES: list[tuple[str, async function(servers, emit)]]`. `servers.postgres_url` and
`servers.nats_url` name a Postgres with `synchronous_commit=on` and a NATS with JetStream that nobody else uses.
A module may offer `GROWTH` too: the same, with a third argument `events`, for a log of that many of them.
`emit(case=…, …)` prints a result: lists of numbers named `rates` (per second) or `seconds` become median, min and max.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import platform
import statistics
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
import uvloop

from infra.embedded.servers import EmbeddedServers

Emit = Callable[..., None]
HERE = Path(__file__).parent


class Servers(NamedTuple):
    """Where the servers are; the relay's user may do everything on the bus, the host's all but write facts."""

    postgres_url: str
    nats_url: str
    nats_relay_url: str
    nats_host_url: str
    nats_client_url: str


Case = Callable[[Servers, Emit], Awaitable[None]]


def cases() -> dict[str, Case]:
    """Every case of every module here, in order of the modules' names."""
    found: dict[str, Case] = {}
    for path in sorted(HERE.glob("*.py")):
        for name, case in getattr(importlib.import_module(f"tests.benchmarks.{path.stem}"), "CASES", []):
            assert name not in found, f"two cases are called {name}"
            found[name] = case
    return found


def growing(events: int) -> dict[str, Case]:
    """The cases of a log that has become long: each module's `GROWTH`, like `CASES` but told how long."""
    found: dict[str, Case] = {}
    for path in sorted(HERE.glob("*.py")):
        for name, case in getattr(importlib.import_module(f"tests.benchmarks.{path.stem}"), "GROWTH", []):
            found[name] = partial(case, events=events)
    return found


def summary(values: Sequence[float], digits: int = 0) -> dict[str, float]:
    """Median, min and max."""
    return {
        name: round(function(values), digits or None)
        for name, function in (("median", statistics.median), ("min", min), ("max", max))
    }


def emit(**fields: Any) -> None:
    """Print a result. `rates` and `seconds` (in milliseconds then, with the 99th percentile) are summed up."""
    line: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "rates":
            line |= summary(value) | {"runs": len(value)}
        elif name == "seconds":
            ms = sorted(second * 1e3 for second in value)
            line |= summary(ms, 3) | {"p99": round(ms[int(len(ms) * 0.99)], 3), "unit": "ms", "samples": len(ms)}
        else:
            line[name] = round(value, 3) if isinstance(value, float) else value
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()


async def repeat(work: Callable[[], Awaitable[int]], runs: int = 5) -> list[float]:
    """Rates of `runs` runs after one to warm up; `work` returns how many things it did."""
    await work()
    rates: list[float] = []
    for _ in range(runs):
        begun = perf_counter()
        done = await work()
        rates.append(done / (perf_counter() - begun))
    return rates


async def run(chosen: dict[str, Case]) -> int:
    """Run the cases; returns how many failed."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as directory:
        async with EmbeddedServers(Path(directory) / "data") as embedded:
            assert embedded.postgres is not None
            assert embedded.nats is not None
            relay, host, client = (embedded.nats.url(role) for role in ("relay", "host", "client"))
            servers = Servers(embedded.postgres.socket_url, relay, relay, host, client)
            emit(machine=platform.machine(), cpus=os.cpu_count(), python=platform.python_version())
            for name, case in chosen.items():
                begun = perf_counter()
                try:
                    await case(servers, emit)
                except Exception:
                    failed += 1
                    traceback.print_exc()
                    emit(case=name, failed=True)
                print(f"# {name}: {perf_counter() - begun:.0f} s", file=sys.stderr)
    return failed


def main() -> None:
    """The command line of `scripts/bench`."""
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--case", action="append", default=[], metavar="NAME")
    parser.add_argument("--grow", type=int, nargs="?", const=10_000_000, metavar="EVENTS")
    given = parser.parse_args()
    every = cases() if given.grow is None else growing(given.grow)
    if given.list:
        print("\n".join(every))
        return
    chosen = {n: case for n, case in every.items() if not given.case or any(n.startswith(c) for c in given.case)}
    if not chosen:
        parser.error(f"no such case: {', '.join(given.case)}; --list names them")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(min(runner.run(run(chosen)), 1))


if __name__ == "__main__":
    main()
