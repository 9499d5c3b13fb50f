from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.difference import difference, same, told

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(0, 1) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({"balance": 5}, {"balance": 8}, ["~ balance: 5 → 8"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["~ a.b[1]: 2 → 3"]),
        ({"items": [1, 2, 3]}, {"items": [0, 1, 2, 3]}, ["+ items[0] = 0"]),
        ({"items": [1, 2, 3]}, {"items": [1, 3]}, ["- items[1] was 2"]),
        ({"a": 1}, {"b": 1}, ["+ b = 1", "- a was 1"]),
        ({"a": 1}, {"a": True}, ["~ a: 1 → true"]),
        ({"a": 1}, {"a": 1.0}, ["~ a: 1 → 1.0"]),
        (1, "1", ['~ .: 1 → "1"']),
        ({"a": []}, {"a": {}}, ["~ a: [] → {}"]),
        ({"a": "x" * 100}, {}, ['- a was "' + "x" * 78 + "…"]),
    ],
)
def test_a_change_is_told_by_its_place(before: Any, after: Any, lines: list[str]) -> None:
    assert [told(change) for change in difference(before, after)] == lines


@given(JSON)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert difference(value, value) == []


@given(JSON, JSON)
def test_two_values_are_the_same_exactly_when_nothing_differs(one: Any, other: Any) -> None:
    assert (difference(one, other) == []) == same(one, other)


@given(st.dictionaries(st.sampled_from("abcd"), JSON), st.dictionaries(st.sampled_from("abcd"), JSON))
def test_every_key_that_differs_is_named(one: dict[str, Any], other: dict[str, Any]) -> None:
    named = {change.path[0] for change in difference(one, other)}
    assert named == {key for key in one.keys() | other.keys() if key not in one or key not in other
                     or not same(one[key], other[key])}  # fmt: skip
