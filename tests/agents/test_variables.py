"""Context variables: types, merge rules, secrets, precedence."""

from __future__ import annotations

from functools import reduce
from typing import Any

import msgspec
import pytest
from hypothesis import given as given_data
from hypothesis import strategies as st

from actors.agents.messages import DeclareVariable, ReadVariables, RemoveVariable, SetVariable
from actors.agents.variables import PRECEDENCE, effective, merged, query, variables
from actors.core.outputs import Reply
from actors.testing import given
from actors.testing.clock import START
from events.agents import VariableDeclared, VariableRemoved, VariableSet
from events.errors import Refused

UNSET = msgspec.UNSET


def declared(merge: str = "last", secret: bool = False, **schema: Any) -> VariableDeclared:
    return VariableDeclared("x", schema, merge, secret)


def test_a_variable_is_declared_set_read_and_removed() -> None:
    scenario = given(variables).when(DeclareVariable("tone", {"type": "string"}, "first", by="user:ada"))
    scenario.then(
        VariableDeclared("tone", {"type": "string"}, "first", False, START, "user:ada"), Reply({"name": "tone"})
    )
    scenario.when(SetVariable("tone", "warm"))
    scenario.then(VariableSet("tone", "warm", None, START, "user:test"), Reply({"name": "tone", "value": "warm"}))
    scenario.when(SetVariable("tone", "cold")).then(Reply({"name": "tone", "value": "warm"}))
    scenario.when(ReadVariables(["tone", "other"]))
    scenario.replied({"values": {"tone": "warm"}, "types": {"tone": {"type": "string"}}})
    assert query(scenario.state, ReadVariables())["values"] == {"tone": "warm"}
    scenario.when(RemoveVariable("tone")).then(VariableRemoved("tone", START, "user:test"), Reply({"removed": True}))
    scenario.when(RemoveVariable("tone")).then(Reply({"removed": False}))


def test_a_value_that_does_not_fit_its_type_is_refused() -> None:
    given(variables, declared(type="integer")).when(SetVariable("x", "3")).refused("value")
    given(variables, declared(type="string")).when(SetVariable("x", "y" * 70_000)).refused("value")
    given(variables).when(SetVariable("x", 1)).refused("undeclared")
    given(variables, declared("sum", maximum=5), VariableSet("x", 3)).when(SetVariable("x", 3)).refused("value")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (DeclareVariable("a b", {}), "name"),
        (DeclareVariable("x", {}, "newest"), "merge"),
        (DeclareVariable("x", {"type": "strng"}), "schema"),
        (DeclareVariable("x", {}, "sum", secret=True), "merge"),
        (DeclareVariable("x", {"type": "string"}), "value"),
        (DeclareVariable("x", {}, secret=True), "value"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(wrong: DeclareVariable, code: str) -> None:
    given(variables, declared(), VariableSet("x", 3)).when(wrong).refused(code)


@pytest.mark.parametrize("value", ["sk-0123456789", "vault:a b", 7, None, {"ref": "vault:x"}, "env:A\nB"])
def test_a_secret_is_set_by_reference_and_what_is_refused_does_not_quote_it(value: Any) -> None:
    scenario = given(variables, declared(secret=True)).when(SetVariable("x", value))
    assert scenario.refusal is not None
    assert str(value) not in scenario.refusal.message
    scenario.refused("value")


def test_references_to_secrets_are_values() -> None:
    given(variables, declared(secret=True)).when(SetVariable("x", "vault:mail/password")).replied(
        {"name": "x", "value": "vault:mail/password"}
    )


# -- merging


@pytest.mark.parametrize(
    ("rule", "old", "new", "expected"),
    [
        ("last", 1, 2, 2), ("first", 1, 2, 1), ("first", UNSET, 2, 2), ("max", 1, 2.5, 2.5), ("min", "b", "a", "a"),
        ("sum", UNSET, 2, 2), ("sum", 1, 2, 3), ("union", UNSET, [2, 1, 2], [1, 2]), ("union", [3], [1, 3], [1, 3]),
        ("append", UNSET, 1, [1]), ("append", [1], [1, 2], [1, 1, 2]), ("conflict", UNSET, 1, 1),
        ("conflict", {"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 2}),
    ],
)  # fmt: skip
def test_two_updates_come_to(rule: str, old: Any, new: Any, expected: Any) -> None:
    assert merged(rule, old, new) == expected


@pytest.mark.parametrize(
    ("rule", "old", "new", "code"),
    [
        ("conflict", 1, 2, "conflict"), ("sum", 1, "a", "merge"), ("sum", 1, True, "merge"), ("max", 1, "a", "merge"),
        ("union", [], 1, "merge"), ("append", 1, [2], "merge"), ("min", UNSET, [], "merge"), ("newest", 1, 2, "merge"),
    ],
)  # fmt: skip
def test_what_does_not_merge_is_refused(rule: str, old: Any, new: Any, code: str) -> None:
    with pytest.raises(Refused) as refused:
        merged(rule, old, new)
    assert refused.value.reason_code == code


JSON = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=2), st.lists, max_leaves=4)
UPDATES = {
    "max": st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False), min_size=1),
    "min": st.lists(st.text(), min_size=1),
    "sum": st.lists(st.integers(), min_size=1),
    "union": st.lists(st.lists(JSON, max_size=4), min_size=1),
}


@pytest.mark.parametrize("rule", UPDATES)
@given_data(data=st.data())
def test_concurrent_updates_come_to_the_same_in_any_order(rule: str, data: st.DataObject) -> None:
    updates = data.draw(UPDATES[rule])
    other = data.draw(st.permutations(updates))

    def all_of(values: list[Any]) -> bytes:
        return msgspec.json.encode(reduce(lambda old, new: merged(rule, old, new), values, UNSET))

    assert all_of(updates) == all_of(list(other))
    if rule != "sum":  # said twice is said once
        assert all_of(updates) == all_of([*updates, updates[0]])


@given_data(st.lists(JSON, min_size=1))
def test_the_first_the_last_and_all_of_them(updates: list[Any]) -> None:
    def all_of(rule: str) -> Any:
        return reduce(lambda old, new: merged(rule, old, new), updates, UNSET)

    assert all_of("first") == updates[0]
    assert all_of("last") == updates[-1]
    appended = all_of("append")
    assert len(appended) == sum(len(u) if isinstance(u, list) else 1 for u in updates)


# -- scopes


def test_the_nearest_scope_that_has_a_variable_counts() -> None:
    scopes = {scope: {"x": scope} for scope in PRECEDENCE}
    for scope in PRECEDENCE:
        assert effective(scopes, ["x", "tenant.x"])["x"] == scope
        del scopes[scope]
    assert effective({}, ["x", "tenant.x"]) == {}
    assert effective({"tenant": {"x": 1}, "run": {"x": 2}}, ["tenant.x", "agent.x"]) == {"tenant.x": 1}
