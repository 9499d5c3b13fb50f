"""Reading rows: filters, order and pages, checked against the declared columns. Adapters run what is checked here."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast

import msgspec

from events.errors import Conflict, InvalidData, NotFound
from projections.core.definition import Column, Layout, Row

Op = Literal["=", "!=", "<", "<=", ">", ">=", "^=", "*=", "in"]
OPS: Final[Mapping[str, str]] = {
    "=": "equals (null: is empty)",
    "!=": "differs (null: is not empty)",
    "<": "less than",
    "<=": "at most",
    ">": "greater than",
    ">=": "at least",
    "^=": "begins with (text)",
    "*=": "contains (text)",
    "in": "is one of",
}
MAX_LIMIT: Final = 1_000
MAX_OFFSET: Final = 100_000
MAX_FILTERS: Final = 20
MAX_CHOICES: Final = 5_000

_FILTER = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(!=|<=|>=|\^=|\*=|=|<|>|\s+in\s)(.*)", re.DOTALL)


class Filter(msgspec.Struct, frozen=True):
    """A condition on a column. Text is taken for a value of the column's kind; `in` takes a list."""

    column: str
    op: Op
    value: Any


class Order(msgspec.Struct, frozen=True):
    """Sort by a column. Empty values come last ascending, first descending."""

    column: str
    descending: bool = False


class Query(msgspec.Struct, frozen=True):
    """What to read. `table` may be left out when there is one; `tenant` None reads all tenants' rows.

    `after` is the `next` of the page before (same filters and order): it is of the same build, even when another one
    has become live. `offset` skips rows instead. `build` reads another build than the live one.
    """

    tenant: str | None
    table: str | None = None
    where: Sequence[Filter] = ()
    order: Sequence[Order] = ()
    limit: int = 100
    after: str | None = None
    offset: int = 0
    build: int | None = None


class Checked(msgspec.Struct, frozen=True):
    """A query that fits: values of the columns' kinds, an order that is total, the place to continue from."""

    layout: Layout
    where: tuple[Filter, ...]
    order: tuple[Order, ...]
    limit: int
    offset: int
    place: tuple[Any, ...] | None


def parse_filter(text: str) -> Filter:
    """`balance>=100`, `kind=account`, `stream^=run/`, `type in A,B`, `parked!=null`. Raises InvalidData."""
    match = _FILTER.fullmatch(text)
    if match is None:
        raise InvalidData(
            f"{text!r} is not a filter", hint=f"write column, operator, value; operators are {' '.join(OPS)}"
        )
    column, op, value = match[1], match[2].strip(), match[3].strip()
    if op == "in":
        return Filter(column, "in", value.split(","))
    return Filter(column, msgspec.convert(op, Op), None if value == "null" and op in ("=", "!=") else value)


def parse_order(text: str) -> tuple[Order, ...]:
    """`-balance,account`: descending by balance, then by account. Raises InvalidData."""
    names = [name.strip() for name in text.split(",")]
    if not all(name.lstrip("-") for name in names):
        raise InvalidData(f"{text!r} is not an order", hint="write columns separated by commas, - before a falling one")
    return tuple(Order(name.removeprefix("-"), name.startswith("-")) for name in names)


def check_query(query: Query, tables: Sequence[Layout]) -> Checked:
    """Hold a query against the tables. Raises InvalidData naming what does not fit."""
    layout = _table(query.table, tables)
    if not 1 <= query.limit <= MAX_LIMIT:
        raise InvalidData(f"limit {query.limit} is out of range", hint=f"1 to {MAX_LIMIT}; continue with next")
    if not 0 <= query.offset <= MAX_OFFSET:
        raise InvalidData(f"offset {query.offset} is out of range", hint=f"0 to {MAX_OFFSET}; beyond, page with next")
    if len(query.where) > MAX_FILTERS:
        raise InvalidData(f"{len(query.where)} filters are too many", hint=f"at most {MAX_FILTERS}")
    where = [_filter(f, layout) for f in query.where]
    if query.tenant is not None and not layout.shared:
        where.insert(0, Filter("tenant", "=", query.tenant))
    order = list(query.order)
    for item in order:
        if _column(item.column, layout).kind == "json":
            raise InvalidData(f"column {item.column} holds JSON and cannot be sorted by")
    falling = bool(order) and order[-1].descending
    seen = {o.column for o in order}
    order += [Order(name, falling) for name in layout.key if name not in seen]
    place = None if query.after is None else _place(query.after, order, layout)
    return Checked(layout, tuple(where), tuple(order), query.limit, query.offset, place)


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page begins: after these values of the columns it is ordered by, in a build of a version."""

    build: int
    version: int
    order: str
    values: list[Any]


def next_token(checked: Checked, row: Row, build: int, version: int) -> str:
    """Where the page after the one that ends with `row` begins."""
    place = Place(build, version, _signature(checked.order), [row[o.column] for o in checked.order])
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_of(token: str) -> Place:
    """What `next_token` wrote. Raises InvalidData."""
    try:
        return msgspec.json.decode(urlsafe_b64decode(token + "=" * (-len(token) % 4)), type=Place)
    except (ValueError, msgspec.DecodeError) as error:
        raise _misplaced(token) from error


def wanted_build(query: Query) -> tuple[int | None, int | None]:
    """The build a query is to read (None: the live one), and the version that may stand in for it once it is gone."""
    if query.after is not None:
        place = place_of(query.after)
        return place.build, place.version
    return query.build, None


def build_gone(projection: str, number: int, version: int | None) -> NotFound | Conflict:
    """The build a query names is not there, and nothing can stand in for it."""
    if version is None:
        return NotFound(
            f"projection {projection} has no build {number}",
            hint=f"`thespis projections builds {projection}` lists them",
        )
    return Conflict(
        f"build {number} of projection {projection}, to which these pages belong, is gone",
        hint=f"begin again with the first page: the live build is not of version {version}",
    )


def _misplaced(token: str) -> InvalidData:
    return InvalidData(f"after={token[:40]!r} is not a place in this query", hint="pass the next of the page before")


def _signature(order: Sequence[Order]) -> str:
    return ",".join(("-" if o.descending else "") + o.column for o in order)


def _place(token: str, order: Sequence[Order], layout: Layout) -> tuple[Any, ...]:
    place = place_of(token)
    if place.order != _signature(order) or len(place.values) != len(order):
        raise _misplaced(token)
    pairs = zip(order, place.values, strict=True)
    return tuple(_value(_column(o.column, layout), value, null=True) for o, value in pairs)


def _table(name: str | None, tables: Sequence[Layout]) -> Layout:
    if name is None and len(tables) == 1:
        return tables[0]
    names = ", ".join(t.name for t in tables)
    for table in tables:
        if table.name == name:
            return table
    raise InvalidData(f"there is no table {name!r}" if name else "say which table", hint=f"tables: {names}")


def _column(name: str, layout: Layout) -> Column:
    column = layout.column(name)
    if column is None:
        raise InvalidData(
            f"{layout.name} has no column {name!r}", hint=f"columns: {', '.join(c.name for c in layout.columns)}"
        )
    return column


def _filter(item: Filter, layout: Layout) -> Filter:
    column = _column(item.column, layout)
    if item.op not in OPS:
        raise InvalidData(f"{item.op!r} is not an operator", hint=f"operators are {' '.join(OPS)}")
    if column.kind == "json":
        raise InvalidData(f"column {column.name} holds JSON and cannot be filtered by")
    if item.op in ("^=", "*=") and column.kind != "str":
        raise InvalidData(f"{item.op} is for text; column {column.name} holds {column.kind}")
    if item.op == "in":
        given: Any = item.value
        if not isinstance(given, list | tuple):
            raise InvalidData(f"{column.name} in … takes a list, not {given!r}")
        choices = [_value(column, v, null=False) for v in cast("Sequence[Any]", given)]
        if len(choices) > MAX_CHOICES:
            raise InvalidData(f"{column.name} in … has {len(choices)} choices", hint=f"at most {MAX_CHOICES}")
        return Filter(column.name, "in", choices)
    return Filter(column.name, item.op, _value(column, item.value, null=item.op in ("=", "!=")))


def _value(column: Column, value: Any, null: bool) -> Any:
    if null and column.null and value is None:
        return None
    found: Any
    target: type[Any] = {"str": str, "int": int, "float": float, "bool": bool, "bytes": bytes}[column.kind]
    try:
        if column.kind == "str":
            found = msgspec.convert(value, str)
        elif isinstance(value, bool) and column.kind != "bool":
            raise msgspec.ValidationError("a truth value")
        else:
            found = msgspec.convert(value, target, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidData(
            f"{value!r} is not a value of column {column.name}", hint=f"it holds {column.kind}"
        ) from error
    if column.kind == "int" and not -(2**63) <= found < 2**63:
        raise InvalidData(f"{value!r} does not fit column {column.name}", hint="it holds integers of 64 bits")
    if column.kind == "str":
        try:
            found.encode()
        except UnicodeEncodeError as error:
            raise InvalidData(f"{value!r} is not text", hint="it holds half of a surrogate pair") from error
        if "\0" in found:
            raise InvalidData(f"{value!r} is not text", hint="it holds a NUL character")
    return found
