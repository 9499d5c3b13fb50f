"""The demo, small: it kills its own host, proves the log, and says so."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from events.errors import Conflict
from gateway.demo import demo, run_once
from gateway.demo.traffic import Traffic
from gateway.proof import verdict
from infra.postgres import open_store
from tests.acceptance.cluster import Cluster

pytestmark = pytest.mark.timeout(120)


def console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=200), text


async def test_the_demo_moves_money_under_fire_and_proves_that_none_was_lost(tmp_path: Path):
    out, text = console()
    report = await demo(tmp_path / "data", transfers=300, accounts=40, kills=1, seed=3, out=out)
    assert report.passed, verdict(report.checks)
    assert (report.transfers, report.acknowledgements, sum(report.ends.values())) == (300, 300, 300)
    assert report.ends.keys() == {"completed", "refunded", "refused"}
    assert report.tries > 340
    assert report.digest is not None
    assert report.digest.kills[1] == "while the report waits for approval"
    assert report.digest.fresh < report.digest.files
    assert "every run asked for what was new to it, once" in text.getvalue()
    assert "Nothing was lost and nothing happened twice." in text.getvalue()
    with pytest.raises(Conflict, match="holds a log already"):
        await demo(tmp_path / "data", transfers=1, accounts=2, kills=0, workflow=False, out=out)


async def test_once_shows_a_completed_a_refunded_and_a_refused_transfer(cluster: Cluster):
    (host,) = await cluster.add(1)
    for _ in range(2):
        out, text = console()
        assert await run_once(host.url, out)
        for word in ("completed", "refunded", "refused", "Together 160, as before."):
            assert word in text.getvalue()
    async with Traffic([host.url]) as traffic, open_store(cluster.postgres.url, migrated=True) as store:
        assert sum(row["balance"] for row in await traffic.rows("balances", await store.head())) == 320
