"""What a read model is: its tables as data, the events it wants, and a pure function from event to row changes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

import msgspec

from events.envelope import Event
from events.errors import BadDefinition
from events.registry import Type

if TYPE_CHECKING:
    from projections.core.rows import Rows

Kind = Literal["str", "int", "float", "bool", "bytes", "json"]
KINDS: Final[Mapping[Any, Kind]] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    bytes: "bytes",
    dict: "json",
    list: "json",
}
EVENT_COLUMNS: Final = tuple(Event.__struct_fields__)
WHOLE: Final = "*"
"""The parked key that holds every event of a projection."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,23}")

Key = tuple[Any, ...]
Row = dict[str, Any]


class Column(msgspec.Struct, frozen=True):
    """A column as it is stored: its name, its kind, and whether it may be empty."""

    name: str
    kind: Kind
    null: bool = False


class Layout(msgspec.Struct, frozen=True):
    """A table as it is stored with each build, so that it can be read without the code that declared it."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...] = ()
    shared: bool = False

    def column(self, name: str) -> Column | None:
        """The column of that name, or None."""
        return next((c for c in self.columns if c.name == name), None)


class Table(msgspec.Struct, frozen=True, eq=False):
    """A table of a read model.

    `columns` maps names to `str`, `int` (64 bits), `float`, `bool`, `bytes`, `dict` or `list` (stored as JSON), each
    `| None` when it may be empty. `key` names the columns that identify a row, `indexes` the column lists that are
    searched. A table has a column `tenant: str`, by which readers are kept apart, unless it is `shared`.
    """

    name: str
    columns: Mapping[str, Any]
    key: Sequence[str]
    indexes: Sequence[Sequence[str]] = ()
    shared: bool = False

    def __post_init__(self) -> None:
        self.layout()

    def layout(self) -> Layout:
        """The stored form. Raises BadDefinition."""
        where = f"table {self.name!r}"
        if not _NAME.fullmatch(self.name):
            raise BadDefinition(f"{where}: not a table name", hint="a name is [a-z][a-z0-9_]*, at most 24 characters")
        columns = tuple(_column(where, name, type_) for name, type_ in self.columns.items())
        layout = Layout(self.name, columns, tuple(self.key), tuple(tuple(i) for i in self.indexes), self.shared)
        if not layout.key:
            raise BadDefinition(
                f"{where} has no key", hint='name the columns that identify a row, e.g. key=("tenant",)'
            )
        for name in [*layout.key, *(n for index in layout.indexes for n in index)]:
            column = layout.column(name)
            if column is None:
                raise BadDefinition(f"{where}: key or index names column {name!r}, which is not declared")
            if column.kind == "json" or (column.null and name in layout.key):
                raise BadDefinition(f"{where}: column {name!r} is JSON or may be empty and cannot be in a key or index")
        tenant = layout.column("tenant")
        if not layout.shared and tenant != Column("tenant", "str"):
            raise BadDefinition(
                f"{where} has no column tenant: str",
                hint='add "tenant": str and fill it from event.tenant, or declare the table shared=True if every '
                "tenant may read all of it",
            )
        return layout


def _column(where: str, name: str, type_: Any) -> Column:
    if not _NAME.fullmatch(name):
        raise BadDefinition(f"{where}: {name!r} is not a column name")
    parts: tuple[Any, ...] = get_args(type_) if isinstance(type_, UnionType) else (type_,)
    base = [p for p in parts if p is not NoneType]
    kind = KINDS.get(get_origin(base[0]) or base[0]) if len(base) == 1 else None
    if kind is None:
        raise BadDefinition(
            f"{where}: column {name!r} has type {type_!r}",
            hint="a column is str, int, float, bool, bytes, dict or list, `| None` if it may be empty",
        )
    return Column(name, kind, len(parts) > 1)


Ref = tuple[Table, Key]
"""A row by its table and the values of its key."""


def by_stream(event: Event) -> str:
    """The usual parking key: one actor's events wait together."""
    return f"{event.tenant}/{event.stream}"


class Projection(msgspec.Struct, frozen=True, eq=False):
    """A read model.

    `apply(rows, event, data)` folds one event into rows through `rows.get`, `put`, `insert` and `delete`; it is
    deterministic, quick, and does nothing else. `types` are the events it wants: a struct (or `versioned(…)`) is
    decoded into `data`, a name gives plain JSON values. With `every`, events of all other types come too, with `data`
    None. `keys(event, data)` names the rows `apply` may `get`, as (table, key) pairs: they are loaded beforehand.

    An event `apply` fails on parks its `park_key`: that key's later events are held in order until a person retries or
    discards them. Rows that events of different keys share must not depend on their order; if they do, choose a
    coarser key. `undecodable` says whether a wanted event whose data does not fit (or is of a schema version not known
    here) parks like that, or is skipped. `reads` names the columns of `Event` used, to keep reads narrow (position is
    always there; type, schema and data when `types` needs them); None is all of them.

    Raise `version` whenever tables or `apply` change: a new build then fills beside the old one and takes its place.
    """

    name: str
    version: int
    tables: Sequence[Table]
    apply: Callable[[Rows, Event, Any], None]
    types: Sequence[type[Any] | Type | str] = ()
    every: bool = False
    keys: Callable[[Event, Any], Iterable[Ref]] | None = None
    park_key: Callable[[Event], str] = by_stream
    undecodable: Literal["park", "skip"] = "park"
    reads: Sequence[str] | None = None

    def __post_init__(self) -> None:
        where = f"projection {self.name!r}"
        if not _NAME.fullmatch(self.name):
            raise BadDefinition(f"{where}: not a name", hint="a name is [a-z][a-z0-9_]*, at most 24 characters")
        if self.version < 1:
            raise BadDefinition(f"{where} has version {self.version}", hint="versions count from 1")
        names = [t.name for t in self.tables]
        if not names or len(set(names)) != len(names):
            raise BadDefinition(f"{where} must have tables, each with a name of its own, not {names}")
        if not self.types and not self.every:
            raise BadDefinition(f"{where} wants no events", hint="list types=[…] or say every=True")
        for function in (self.apply, self.keys, self.park_key):
            if inspect.iscoroutinefunction(function):
                raise BadDefinition(f"{where}: a fold is a plain function, not a coroutine")
        unknown = set(self.reads or ()) - set(EVENT_COLUMNS)
        if unknown:
            raise BadDefinition(f"{where} reads {sorted(unknown)}", hint=f"an event has {', '.join(EVENT_COLUMNS)}")
        if self.reads is not None and self.park_key is by_stream and not {"tenant", "stream"} <= set(self.reads):
            raise BadDefinition(
                f"{where} parks by stream but does not read it",
                hint='add "tenant" and "stream" to reads, or give a park_key over what is read',
            )

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Its tables as stored."""
        return tuple(t.layout() for t in self.tables)

    @property
    def type_names(self) -> tuple[str, ...]:
        """The names of the listed types."""
        return tuple(type_name(t) for t in self.types)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of `Event` to read, in the envelope's order."""
        if self.reads is None:
            return EVENT_COLUMNS
        wanted = {"position", *self.reads}
        if self.types:
            wanted |= {"type", "schema", "data"}
        return tuple(c for c in EVENT_COLUMNS if c in wanted)


def type_name(item: type[Any] | Type | str) -> str:
    """The event type's name, however it is listed."""
    if isinstance(item, str):
        return item
    return item.name if isinstance(item, Type) else item.__name__


def check(projections: Iterable[Projection]) -> dict[str, Projection]:
    """Projections by name. Two of the same name are a BadDefinition."""
    found: dict[str, Projection] = {}
    for projection in projections:
        if projection.name in found:
            raise BadDefinition(
                f"two projections are named {projection.name!r}", hint="rename one; the built-in names are taken"
            )
        found[projection.name] = projection
    return found
