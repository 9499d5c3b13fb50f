"""A definition that contradicts itself is refused when it is made, in words that say what to do."""

from __future__ import annotations

from typing import Any, cast

import pytest

import projections
from events.errors import BadDefinition
from events.registry import versioned
from projections import PROJECTIONS, Projection, Projector, Table
from projections.core.definition import EVENT_COLUMNS, Column
from tests.projections.scenes import BALANCES, Deposited, ListLog, balances


def test_the_front_door_shows_what_it_says() -> None:
    assert len(set(projections.__all__)) == len(projections.__all__)
    assert all(hasattr(projections, name) for name in projections.__all__)


def test_the_built_in_projections_are_listed_once_each() -> None:
    assert [p.name for p in PROJECTIONS] == [
        "actors", "agents", "approvals", "assets", "budgets", "conversations", "costs", "events", "inbox", "lineage",
        "policies", "runs", "throughput", "tools", "variables", "workflows",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "Bad Name"}, "not a table name"),
        ({"name": "x" * 30}, "not a table name"),
        ({"columns": {"tenant": str, "Bad": int}}, "'Bad' is not a column"),
        ({"columns": {"tenant": str, "account": complex}}, "complex"),
        ({"columns": {"tenant": str, "account": str | int}}, "has type"),
        ({"columns": {"tenant": str, "account": None}}, "has type"),
        ({"key": ()}, "no key"),
        ({"key": ("tenant", "nobody")}, "'nobody'"),
        ({"indexes": [("nobody",)]}, "'nobody'"),
        ({"columns": {"tenant": str, "account": str | None}}, "may be empty"),
        ({"columns": {"tenant": str, "account": dict}}, "JSON"),
        ({"columns": {"account": str}, "key": ("account",)}, "no column tenant"),
        ({"columns": {"tenant": int, "account": str}}, "no column tenant"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(changes: dict[str, Any], says: str) -> None:
    good: dict[str, Any] = {"name": "t", "columns": {"tenant": str, "account": str}, "key": ("tenant", "account")}
    Table(**good)
    with pytest.raises(BadDefinition, match=says):
        Table(**(good | changes))


def test_a_shared_table_needs_no_tenant() -> None:
    layout = Table("rates", {"currency": str, "rate": float | None, "more": list[str]}, key=("currency",), shared=True)
    assert layout.layout().columns == (
        Column("currency", "str"),
        Column("rate", "float", null=True),
        Column("more", "json"),
    )


async def slow(rows: Any, event: Any, data: Any) -> None: ...


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "no-hyphens"}, "not a name"),
        ({"version": 0}, "version 0"),
        ({"tables": []}, "must have tables"),
        ({"tables": [BALANCES, BALANCES]}, "a name of its own"),
        ({"types": []}, "wants no events"),
        ({"apply": slow}, "plain function"),
        ({"reads": ("tenant", "stream", "colour")}, "colour"),
        ({"reads": ("type",)}, "parks by stream"),
    ],
)
def test_a_projection_that_contradicts_itself_is_refused(changes: dict[str, Any], says: str) -> None:
    good: dict[str, Any] = {
        "name": "p",
        "version": 1,
        "tables": [BALANCES],
        "types": [Deposited],
        "apply": lambda rows, event, data: None,
    }
    Projection(**good)
    with pytest.raises(BadDefinition, match=says):
        Projection(**(good | changes))


def test_two_projections_of_one_name_are_refused() -> None:
    mine = Projection("actors", 1, tables=[BALANCES], every=True, apply=lambda rows, event, data: None)
    with pytest.raises(BadDefinition, match="two projections are named 'actors'"):
        Projector([*PROJECTIONS, mine], ListLog(), cast("Any", None))


def test_only_the_columns_used_are_read() -> None:
    assert balances().columns == ("position", "tenant", "stream", "type", "schema", "data")
    assert balances(reads=None).columns == EVENT_COLUMNS
    counting = Projection("n", 1, tables=[BALANCES], every=True, apply=lambda *_: None, reads=("tenant", "stream"))
    assert counting.columns == ("position", "tenant", "stream")


def test_types_are_known_by_the_name_they_are_stored_under() -> None:
    renamed = versioned(Deposited, name="account.deposited")
    assert balances(types=[renamed, Deposited, "task.end"]).type_names == (
        "account.deposited",
        "Deposited",
        "task.end",
    )
