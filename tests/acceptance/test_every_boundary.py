"""A host struck at every call to the log and the read models, and between any two awaits, one after the other: nothing
is lost, doubled, reordered or tried twice."""

from __future__ import annotations

import pytest

from tests.acceptance.faults import AT_CALLS, AT_STEPS, Strike
from tests.acceptance.small import struck
from tests.acceptance.torture import sound

HOSTS = (1, 2, 3)


def places(on: str, hosts: int) -> int:
    """How many places there are."""
    result = sound(struck(hosts))
    return result.calls if on == "call" else result.steps


@pytest.mark.parametrize("hosts", HOSTS[:2])
@pytest.mark.parametrize("fault", AT_CALLS)
def test_a_host_may_be_struck_at_a_call_to_the_log_or_the_read_models(fault: str, hosts: int):
    for at in range(hosts, places("call", hosts), 9):
        sound(struck(hosts, Strike("call", at, fault)))


@pytest.mark.parametrize("hosts", HOSTS[:2])
@pytest.mark.parametrize("fault", AT_STEPS)
def test_a_host_may_be_struck_between_two_awaits(fault: str, hosts: int):
    every = 23 if fault == "killed" else 97
    for at in range(hosts, places("step", hosts), every):
        sound(struck(hosts, Strike("step", at, fault)))


LATER = ["killed", "frozen", "cut off"]


@pytest.mark.parametrize("first", ["stopped", "killed", "frozen"])
@pytest.mark.parametrize("second", LATER)
def test_a_host_may_be_struck_while_another_one_goes_and_a_third_takes_over(first: str, second: str):
    for after in range(1, 400, 67):
        sound(struck(2, Strike("step", 250, first), Strike("step", 250 + after, second)))


@pytest.mark.long
@pytest.mark.parametrize("hosts", HOSTS)
@pytest.mark.parametrize("first", ["stopped", "killed", "frozen"])
@pytest.mark.parametrize("second", LATER)
def test_a_host_may_be_struck_at_every_await_of_a_hand_over_or_takeover(first: str, second: str, hosts: int):
    for after in range(1, 400):
        sound(struck(hosts, Strike("step", 250, first), Strike("step", 250 + after, second)))


@pytest.mark.long
@pytest.mark.parametrize("hosts", HOSTS)
@pytest.mark.parametrize("fault", AT_CALLS)
def test_a_host_may_be_struck_at_every_call(fault: str, hosts: int):
    for at in range(places("call", hosts)):
        sound(struck(hosts, Strike("call", at, fault)))


@pytest.mark.long
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("hosts", HOSTS)
@pytest.mark.parametrize("fault", AT_STEPS)
def test_a_host_may_be_struck_at_every_await(fault: str, hosts: int, part: int):
    for at in range(part, places("step", hosts), 8):
        sound(struck(hosts, Strike("step", at, fault)))
