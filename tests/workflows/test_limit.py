"""Limits: never more than there is, nobody starves, nothing is left behind."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.outputs import Reply, Tell
from actors.limit import Acquire, Granted, Limit, Release, SetLimit, decide, evolve
from events.envelope import Message
from events.errors import Refused
from events.limits import UnitsGranted


def told(state: Limit, data: Any) -> list[Any]:
    """One decision, folded."""
    message = Message("m", type(data).__name__, "limit/db", "default", b"", "run/1", 0, "", "m", data)
    outs = decide(state, message)
    for out in outs:
        evolve(state, out)
    return outs


def granted(outs: list[Any]) -> list[str]:
    """Who has units now: whoever was told, and whoever asked if the answer says so."""
    told_of = [out.data.ref for out in outs if isinstance(out, Tell) and isinstance(out.data, Granted)]
    if any(out == Reply({"granted": True}) for out in outs):
        new = [out.holder for out in outs if isinstance(out, UnitsGranted) and out.holder not in told_of]
        return [*told_of, *(new or ["again"])]
    return told_of


def acquire(holder: str, group: str = "", **said: Any) -> Acquire:
    return Acquire(holder, holder, group or holder, **said)


def test_units_are_granted_at_once_while_there_are_some_and_then_in_turn() -> None:
    state = Limit()
    assert granted(told(state, acquire("a", size=2))) == ["a"]
    assert granted(told(state, acquire("b"))) == ["b"]
    assert granted(told(state, acquire("c"))) == []
    assert granted(told(state, acquire("d"))) == []
    assert granted(told(state, Release("b"))) == ["c"]
    assert granted(told(state, Release("a"))) == ["d"]
    assert state.used == 2


def test_asking_and_giving_back_twice_is_once() -> None:
    state = Limit()
    told(state, acquire("a"))
    assert granted(told(state, acquire("a"))) == ["again"]
    told(state, acquire("b"))
    assert granted(told(state, acquire("b"))) == []
    assert granted(told(state, Release("a"))) == ["b"]
    assert told(state, Release("a")) == [Reply({"released": 0})]
    assert state.held == {"b": 1}


def test_who_gives_up_waiting_lets_those_behind_pass() -> None:
    state = Limit()
    told(state, acquire("a", size=3))
    told(state, acquire("b", units=3))
    assert granted(told(state, acquire("c"))) == []
    assert granted(told(state, Release("b"))) == ["c"]


def test_who_wants_much_is_not_starved_by_those_who_want_little() -> None:
    state = Limit()
    told(state, acquire("a", size=2))
    told(state, acquire("big", units=2))
    for n in range(5):
        assert granted(told(state, acquire(f"small{n}"))) == []
    assert granted(told(state, Release("a"))) == ["big"]


def test_a_run_with_a_thousand_steps_does_not_starve_one_with_two() -> None:
    state = Limit()
    for n in range(1000):
        told(state, acquire(f"many{n}", "run/many"))
    told(state, acquire("few0", "run/few"))
    told(state, acquire("few1", "run/few"))
    order: list[str] = ["many0"]
    for _ in range(5):
        order += granted(told(state, Release(order[-1])))
    assert order == ["many0", "many1", "few0", "many2", "few1", "many3"]


def test_a_stream_of_new_runs_does_not_starve_an_old_one() -> None:
    state = Limit()
    told(state, acquire("old0", "run/old"))
    told(state, acquire("old1", "run/old"))
    told(state, acquire("old2", "run/old"))
    holder = "old0"
    order: list[str] = []
    for n in range(6):
        told(state, acquire(f"new{n}"))
        (holder,) = granted(told(state, Release(holder)))
        order.append(holder)
    assert order.index("old1") <= 1
    assert order.index("old2") <= 3


def test_within_a_run_the_highest_priority_comes_first_then_the_longest_wait() -> None:
    state = Limit()
    told(state, acquire("a", "run/1"))
    for holder, priority in (("b", 5), ("c", 9), ("d", 9), ("e", 1), ("f", 10)):
        told(state, acquire(holder, "run/1", priority=priority))
    order = ["a"]
    for _ in range(5):
        order += granted(told(state, Release(order[-1])))
    assert order == ["a", "f", "c", "d", "b", "e"]


def test_the_first_to_name_a_size_sets_it_and_a_person_changes_it() -> None:
    state = Limit()
    told(state, acquire("a", size=1))
    assert granted(told(state, acquire("b", size=5))) == []
    told(state, acquire("c"))
    assert granted(told(state, SetLimit(3))) == ["b", "c"]
    told(state, SetLimit(1))
    told(state, acquire("d"))
    assert granted(told(state, Release("a"))) == []
    assert granted(told(state, Release("b"))) == []
    assert granted(told(state, Release("c"))) == ["d"]


def test_who_waits_for_more_than_a_limit_has_left_gets_all_of_it() -> None:
    state = Limit()
    told(state, acquire("a", size=4))
    told(state, acquire("b", units=4))
    told(state, SetLimit(2))
    assert granted(told(state, Release("a"))) == ["b"]
    assert state.used == 2
    told(state, Release("b"))
    assert state.used == 0


@pytest.mark.parametrize("message", [acquire("a", units=0), acquire("a", units=2), SetLimit(0)])
def test_what_can_never_be_is_refused(message: Any) -> None:
    with pytest.raises(Refused):
        told(Limit(), message)


Move = tuple[str, int, int]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from(["want", "want", "back", "resize"]), st.integers(0, 19), st.integers(1, 4)),
        max_size=120,
    ),
)
def test_whatever_happens_no_more_than_there_is_is_held_and_nothing_is_left_lying(size: int, moves: list[Move]) -> None:
    state = Limit()
    told(state, SetLimit(size))
    told_of: Counter[str] = Counter()
    for what, who, amount in moves:
        holder = f"h{who}"
        if what == "want":
            if amount > state.size:
                continue
            outs = told(state, acquire(holder, f"run/{who % 4}", units=amount, priority=amount))
        elif what == "back":
            outs = told(state, Release(holder))
            told_of.pop(holder, None)
        else:
            outs = told(state, SetLimit(amount))
        for name in granted(outs):
            told_of[name] += name != "again"
        if any(isinstance(out, UnitsGranted) for out in outs):
            assert state.used <= state.size
        assert state.used == sum(state.held.values())
        assert {name for name, times in told_of.items() if times} == set(state.held)
        assert not set(state.held) & set(state.waiting)
        in_line = [h for lines in state.lines.values() for line in lines.values() for h in line]
        assert sorted(in_line) == sorted(state.waiting)
        if state.waiting:
            most = max(min(w.units, state.size) for w in state.waiting.values())
            assert state.size - state.used < most, "somebody waits though there is enough for anybody"
    while state.held or state.waiting:
        assert state.held, "all is free and still somebody waits"
        told(state, Release(next(iter(state.held))))
    assert state.used == 0
    assert not state.lines
