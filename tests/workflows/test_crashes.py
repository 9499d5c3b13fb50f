"""A run of everything whose hosts are struck at calls to the log: what comes of it is what would have come anyway."""

from __future__ import annotations

from functools import cache

import pytest

from tests.acceptance.faults import AT_CALLS, Strike
from tests.workflows.everything import ONCE, Came, play


@cache
def undisturbed() -> Came:
    """What comes of it when nothing happens."""
    return play()


def same(came: Came) -> None:
    """Outputs, facts and effects are those of the undisturbed run; what cannot be repeated was done once."""
    plain = undisturbed()
    assert came.outputs == plain.outputs
    assert came.facts == plain.facts, {
        "missing": list((plain.facts - came.facts).keys())[:5], "more": list((came.facts - plain.facts).keys())[:5],
    }  # fmt: skip
    assert set(came.done) == set(plain.done)
    for key, count in came.done.items():
        if key.endswith(ONCE):
            assert count == 1, f"{key} was done {count} times"


def test_the_run_uses_everything_and_ends() -> None:
    plain = undisturbed()
    assert plain.outputs == [4, [2, 3, 4, 5], [None, 2, None], 2, "won", "error", 7, ["test"]]
    assert set(plain.done.values()) == {1}
    same(play())


@pytest.mark.parametrize("fault", AT_CALLS)
def test_a_host_may_be_struck_at_a_call(fault: str) -> None:
    step = max(undisturbed().calls // 7, 1)
    for at in range(3 + len(fault), undisturbed().calls, step):
        same(play(Strike("call", at, fault)))


@pytest.mark.long
@pytest.mark.parametrize("hosts", [1, 2])
@pytest.mark.parametrize("fault", AT_CALLS)
def test_a_host_may_be_struck_at_every_call(fault: str, hosts: int) -> None:
    for at in range(undisturbed().calls):
        same(play(Strike("call", at, fault), hosts=hosts))


@pytest.mark.long
@pytest.mark.parametrize("part", range(8))
def test_a_host_may_be_killed_between_any_two_awaits(part: int) -> None:
    for at in range(part, undisturbed().steps, 8 * 5):
        same(play(Strike("step", at, "killed")))
