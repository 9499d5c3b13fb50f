"""`thespis doctor --torture`, as a user calls it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import psutil
import pytest

from events.errors import Conflict, Invalid
from gateway.torture.run import torture

pytestmark = pytest.mark.timeout(240)


async def doctor(place: Path, *options: str) -> Process:
    environment = {**os.environ, "TMPDIR": str(place), "PYTHONUNBUFFERED": "1"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "gateway.main", "doctor", "--torture", *options,
        stdout=PIPE, stderr=PIPE, cwd=Path(__file__).parents[2], env={**environment, "PYTHONPATH": "."},
    )  # fmt: skip


async def test_a_short_torture_says_its_figures_and_keeps_its_scratch_directory(place: Path):
    scratch = place / "scratch"
    options = ["--operations", "300", "--hosts", "1", "--seed", "4", "--fault", "cut in commit", "-o", "jsonl"]
    process = await doctor(place, *options, "--scratch", str(scratch))
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    *waited, figures = [json.loads(line) for line in out.splitlines()]
    assert {line["case"] for line in waited} == {"unavailable: cut in commit"}
    assert (figures["seed"], figures["operations"] >= 300, figures["faults"]) == (4, True, len(waited))
    assert [figures[name] for name in ("lost", "doubled", "reordered", "repeated")] == [0, 0, 0, 0]
    assert (scratch / "data" / "postgres").exists()


async def test_ctrl_c_leaves_nothing_behind(place: Path):
    process = await doctor(place, "--hosts", "1")
    assert process.stdout is not None
    async with asyncio.timeout(120):
        while b"acknowledged" not in await process.stdout.readline():
            assert process.returncode is None
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) > 3
        process.send_signal(signal.SIGINT)
        out, error = await process.communicate()
        assert process.returncode == 130, (out, error)
        gone, alive = await asyncio.to_thread(psutil.wait_procs, children, 60)
    assert not alive
    assert gone
    assert not list(place.iterdir())


async def test_a_directory_of_somebody_else_is_left_alone(place: Path):
    (place / "lock").touch()
    with pytest.raises(Conflict, match="not empty"):
        await torture(place)
    assert [path.name for path in place.iterdir()] == ["lock"]


async def test_a_fault_that_there_is_not_is_said():
    with pytest.raises(Invalid, match="no fault 'bad weather'"):
        await torture(faults=["bad weather"])
