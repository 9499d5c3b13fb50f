"""A decide that kills its process, or never returns, leaves a mark; the third death parks its actor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from actors.core.hand import EXIT_GREW, EXIT_HUNG, Hand, InHand

ROOT = Path(__file__).parents[2]


def run(url: str, mark: Path, how: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.kernel.doomed", url, str(mark), how]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("how", "status"), [("kill", -9), ("hang", EXIT_HUNG), ("grow", EXIT_GREW)])
def test_the_third_death_of_a_host_by_the_same_message_parks_its_actor(
    postgres_url: str, tmp_path: Path, how: str, status: int
) -> None:
    mark = tmp_path / "in-hand"
    ballast = bytearray(b"x" * 600_000_000)  # what this process has says nothing about the one it starts
    assert run(postgres_url, mark, how).returncode == status
    assert run(postgres_url, mark, "look").returncode == status
    assert run(postgres_url, mark, "look").returncode == status
    survived = run(postgres_url, mark, "look")
    said = "it takes down the process that handles it, after 1 messages; others: handled\n"
    assert survived.stdout == said, survived.stderr
    assert survived.returncode == 0
    assert len(ballast) == 600_000_000


def test_a_mark_outlives_its_process_and_a_clean_end_leaves_none(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    hand = Hand(mark)
    assert hand.found is None
    hand.take("default", "counter/a", "m1")
    with Hand(mark) as again:
        assert again.found == InHand("default", "counter/a", "m1")
        again.take("default", "counter/b", "m2")
    assert Hand(mark).found is None
    hand.take("default", "counter/a", "m3")
    hand.put()
    assert Hand(mark).found is None
