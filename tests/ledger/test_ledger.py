"""The whole workspace, loaded as users load theirs, in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

import gateway.examples.ledger as ledger
from events.errors import Refused
from gateway import workspace
from gateway.examples.ledger.account import Close, Deposit, Open, Withdraw
from gateway.examples.ledger.balances import balances
from gateway.examples.ledger.transfer import Transfer
from gateway.examples.ledger.workspace import plugin
from infra.memory.system import System, run_system
from projections import replay

ADA, BEN = "account/ada", "account/ben"


def test_the_directory_is_a_workspace():
    loaded = workspace.load(Path(ledger.__file__).parent)
    assert [kind.name for kind in loaded.kinds] == ["account", "transfer"]
    assert [projection.name for projection in loaded.projections] == ["balances"]


async def has(system: System, address: str) -> int:
    return (await system.state(address))["balance"]


async def ends(system: System, terms: Transfer, name: str = "transfer/1") -> str:
    await system.ask(name, terms)
    await system.settle()
    return (await system.state(name))["status"]


def test_money_moves():
    async def script(system: System) -> None:
        await system.ask(ADA, Open(100))
        await system.ask(BEN, Open())
        assert await ends(system, Transfer(ADA, BEN, 30)) == "completed"
        assert (await has(system, ADA), await has(system, BEN)) == (70, 30)
        assert await system.ask("transfer/1", Transfer(ADA, BEN, 30)) == {"status": "completed"}
        assert (await has(system, ADA), await has(system, BEN)) == (70, 30)

    run_system(plugin, script)


@pytest.mark.parametrize("refusing", [Open(0, limit=10), None, Close()])
def test_money_that_is_not_taken_comes_back(refusing: Open | Close | None):
    async def script(system: System) -> None:
        await system.ask(ADA, Open(100))
        if isinstance(refusing, Close):
            await system.ask(BEN, Open())
        if refusing is not None:
            await system.ask(BEN, refusing)
        assert await ends(system, Transfer(ADA, BEN, 30)) == "refunded"
        assert await has(system, ADA) == 100

    run_system(plugin, script)


def test_money_that_is_not_there_does_not_move():
    async def script(system: System) -> None:
        await system.ask(ADA, Open(10))
        await system.ask(BEN, Open())
        assert await ends(system, Transfer(ADA, BEN, 30)) == "refused"
        assert (await has(system, ADA), await has(system, BEN)) == (10, 0)

    run_system(plugin, script)


@pytest.mark.parametrize("terms", [Transfer("ada", BEN, 1), Transfer(ADA, "feed/x", 1), Transfer(ADA, BEN, 0)])
def test_senseless_terms_are_refused_at_once(terms: Transfer):
    async def script(system: System) -> None:
        with pytest.raises(Refused) as refused:
            await system.ask("transfer/1", terms)
        assert refused.value.reason_code == "invalid-data"

    run_system(plugin, script)


def test_a_fork_holds_nobodys_money_and_its_row_says_so():
    async def script(system: System) -> None:
        await system.ask(ADA, Open(100))
        await system.ask(ADA, Withdraw(10))
        await system.hosts[0].fork("default", ADA, 2, "account/ada-if", "cli")
        assert await has(system, "account/ada-if") == 100
        await system.ask("account/ada-if", Withdraw(70))
        assert await has(system, "account/ada-if") == 30
        rows = replay(balances, await system.events())["balances"]
        assert [(r["account"], r["balance"], r["status"], r["movements"]) for r in rows] == [
            (ADA, 90, "open", 2),
            ("account/ada-if", 0, "fork", 0),
        ]

    run_system(plugin, script)


def test_the_balances_are_a_fold_of_the_log():
    async def script(system: System) -> None:
        await system.ask(ADA, Open(100))
        await system.ask(BEN, Open(5, limit=20))
        assert await ends(system, Transfer(ADA, BEN, 15), "transfer/1") == "completed"
        assert await ends(system, Transfer(ADA, BEN, 1), "transfer/2") == "refunded"
        await system.ask(ADA, Deposit(1))
        await system.ask(BEN, Close())
        rows = replay(balances, await system.events())["balances"]
        assert [(r["account"], r["balance"], r["status"], r["movements"]) for r in rows] == [
            (ADA, 86, "open", 5),
            (BEN, 20, "closed", 2),
        ]

    run_system(plugin, script)
