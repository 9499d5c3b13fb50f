"""A few transfers on a running instance, for all to see."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from rich.console import Console
from rich.table import Table

from events.errors import DeadlineExceeded
from events.ids import random_id
from gateway.cli.find import Place
from gateway.cli.http import Api, path
from gateway.demo.plan import Step
from gateway.demo.traffic import Traffic

OPENED = {"ada": {"deposit": 100}, "ben": {"deposit": 50}, "cyd": {"deposit": 0, "limit": 60}, "dan": {"deposit": 10}}
MOVED = [("ada", "ben", 30), ("ben", "cyd", 60), ("ada", "cyd", 20), ("dan", "ada", 11), ("ben", "dan", 20)]
"""Among them a credit that is refused, so that the money goes back, and a debit that is refused."""
PATIENCE = 30.0


async def run_once(url: str, out: Console | None = None) -> bool:
    """Open four accounts, move money between them, and print what became of it; returns whether the sum is right.

    `url` is that of an instance with the ledger workspace. Raises Unavailable, UnknownType.
    """
    out = out or Console()
    run = random_id()[-8:]
    names = {name: f"account/{name}-{run}" for name in OPENED}
    async with Traffic([url]) as traffic, Api(Place(url)) as api:
        for name, terms in OPENED.items():
            await traffic.send(Step(names[name], "Open", dict(terms), run))
        table = Table("transfer", "from", "to", "amount", "ended", title="The ledger, once")
        for number, (source, target, amount) in enumerate(MOVED, 1):
            transfer = f"transfer/{run}-{number}"
            terms = {"source": names[source], "target": names[target], "amount": amount}
            await traffic.send(Step(transfer, "Transfer", terms, run))
            ended = await _end(api, transfer)
            why = f" ({ended['reason']})" if ended["reason"] else ""
            table.add_row(transfer, names[source], names[target], str(amount), ended["status"] + why)
        balances: dict[str, int] = {name: (await _state(api, names[name]))["balance"] for name in OPENED}
    out.print(table)
    had, have = sum(terms["deposit"] for terms in OPENED.values()), sum(balances.values())
    shown = ", ".join(f"{names[name]} has {balance}" for name, balance in balances.items())
    out.print(f"{shown}. Together {have}, as before." if had == have else f"{shown}. Together {have}, before {had}!")
    return had == have


async def _end(api: Api, transfer: str) -> dict[str, Any]:
    deadline = monotonic() + PATIENCE
    while True:
        state = await _state(api, transfer)
        if state["status"] in ("completed", "refused", "refunded"):
            return state
        if monotonic() > deadline:
            raise DeadlineExceeded(f"{transfer} is {state['status']} after {PATIENCE:.0f} s")
        await asyncio.sleep(0.02)


async def _state(api: Api, address: str) -> dict[str, Any]:
    return (await api.get(path("actors", *address.split("/", 1))))["state"]
