"""Fields that belong to a person: marked in a type, sealed with that person's key wherever they are kept.

class Registered(msgspec.Struct, frozen=True):
    customer: str
    email: Annotated[str | Erased, subject("customer")]

In memory `email` is text. In the log, on the bus, in messages, timers, effects and replies that are kept it is
`{"$sealed": {"v": 1, "key": …, "box": …}}`, and once the key is gone it decodes to `Erased()`.

Pure: keys and ciphers come through the port `Keyring`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol, cast

import msgspec
from msgspec import inspect

from events.errors import BadDefinition

SEALED: Final = "$sealed"
"""The only key of the object that stands for a sealed value."""

_MARK: Final = "subject"


class Erased(msgspec.Struct, frozen=True):
    """A value nobody can read any more, because its subject was erased. All are equal."""

    erased: bool = msgspec.field(default=True, name="$erased")


def subject(by: str = "") -> msgspec.Meta:
    """Mark a field as personal: `Annotated[str | Erased, subject("customer")]`.

    `by` names the field beside it (as in the code) that holds the subject's id, a text or an int; without it the
    subject is the actor whose stream or mailbox this is, by its address. The id itself stays readable for ever: use a
    pseudonym such as a customer number, never an email address.
    """
    return msgspec.Meta(extra={_MARK: by}, extra_json_schema={"x-subject": by or "the actor"})


class Place(msgspec.Struct, frozen=True):
    """Where a sealed value stands; it opens nowhere else.

    `stream` is the actor's whose history or mailbox it is in. `at` is the event's version, or the id of the message,
    timer or effect. `type` is the type's name.
    """

    tenant: str
    stream: str
    at: str
    type: str

    def bound(self) -> bytes:
        """The associated data."""
        return "\0".join(("1", self.tenant, self.stream, self.at, self.type)).encode()


class KeysNeeded(Exception):
    """Keys that are not in memory: fetch them and do the same again. Never leaves the kernel.

    `subjects` are (tenant, subject, stream) that are to be sealed for, `keys` the ids of keys that are to open.
    """

    def __init__(self) -> None:
        super().__init__()
        self.subjects: set[tuple[str, str, str]] = set()
        self.keys: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.subjects or self.keys)


class Keyring(Protocol):
    """Keys of subjects. What is in memory is used at once; what is not raises KeysNeeded."""

    def ready(self, tenant: str, subject: str, stream: str) -> bool:
        """Whether `seal` would find its key."""
        ...

    def seal(self, tenant: str, subject: str, field: str, plain: bytes, place: Place) -> tuple[str, bytes]:
        """The id of the subject's key, and the box. The same again gives the same bytes. Raises KeysNeeded."""
        ...

    def open(self, key: str, box: bytes, place: Place) -> bytes | None:
        """What is in a box; None when its key was erased, or it was not sealed for this place. Raises KeysNeeded."""
        ...

    def subject_of(self, key: str) -> str | None:
        """Whose key that is, if it is in memory."""
        ...

    def proof(self, state: bytes) -> bytes:
        """32 bytes that only the same state gives, and that nobody can compute who knows the database alone."""
        ...

    async def fetch(self, needed: KeysNeeded) -> None:
        """Have these keys in memory; subjects without one get one. Raises StoreUnavailable, BadDefinition."""
        ...


# -- which fields


class Plan(msgspec.Struct, frozen=True):
    """Where the marked fields of a type are, by their names in JSON."""

    marked: tuple[tuple[str, str], ...]
    """(field, field with the subject's id or nothing)."""
    inside: tuple[tuple[str, str, tuple[str, ...]], ...]
    """(field, name of the struct in it, the containers around that: `list` or `dict`)."""
    parts: Mapping[str, Plan]
    """Plans by the name of their struct, shared by all of one type."""


@lru_cache(maxsize=4096)
def plan_of(struct: Any) -> Plan | None:
    """The plan of a struct; None for anything without marked fields.

    Raises BadDefinition when a marked field cannot hold `Erased`, names a field that is not there, or stands where it
    would not be found.
    """
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
        return None
    try:
        info = inspect.type_info(struct)
    except (TypeError, NameError):
        return None
    if not isinstance(info, inspect.StructType) or not _marks(info):
        return None
    parts: dict[str, Plan] = {}
    _plan(info, parts)
    return parts[_name(info)]


def _plan(info: inspect.StructType, parts: dict[str, Plan]) -> None:
    name = _name(info)
    marked: list[tuple[str, str]] = []
    inside: list[tuple[str, str, tuple[str, ...]]] = []
    parts[name] = Plan((), (), parts)
    names = {field.name: field.encode_name for field in info.fields}
    if info.array_like:
        raise BadDefinition(f"{name} has marked fields and is array_like", hint="let it be an object")
    for field in info.fields:
        where = f"{name}.{field.name}"
        by = _mark(field.type)
        if by is not None:
            if not _holds_erased(field.type):
                raise BadDefinition(
                    f"{where} is marked as a subject's but cannot be erased",
                    hint=f"annotate it as … | Erased: Annotated[str | Erased, subject({by!r})]",
                )
            if by and by not in names:
                raise BadDefinition(f"{where}: there is no field {by!r} that would name the subject")
            marked.append((field.encode_name, names.get(by, "")))
        elif _marks(field.type):
            found, around = _inner(field.type, where)
            if _name(found) not in parts:
                _plan(found, parts)
            inside.append((field.encode_name, _name(found), around))
    parts[name] = Plan(tuple(marked), tuple(inside), parts)


def _name(info: inspect.StructType) -> str:
    return f"{info.cls.__module__}.{info.cls.__qualname__}"


def _mark(type: inspect.Type) -> str | None:
    while isinstance(type, inspect.Metadata):
        extra: dict[str, Any] | None = getattr(type, "extra", None)
        if extra and _MARK in extra:
            return cast(str, extra[_MARK])
        type = type.type
    return None


def _holds_erased(type: inspect.Type) -> bool:
    while isinstance(type, inspect.Metadata):
        type = type.type
    kinds = type.types if isinstance(type, inspect.UnionType) else (type,)
    return any(isinstance(kind, inspect.StructType) and kind.cls is Erased for kind in kinds)


def _marks(type: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Whether there is a mark anywhere in a type."""
    if isinstance(type, inspect.Metadata) and _mark(type) is not None:
        return True
    if isinstance(type, inspect.StructType):
        if type.cls in seen:
            return False
        seen = seen | {type.cls}
    return any(_marks(part, seen) for part in _parts(type))


def _parts(type: Any) -> Iterator[Any]:
    """What a type is made of."""
    for name in getattr(type, "__struct_fields__", ()):
        value = getattr(type, name)
        for each in cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,):
            if isinstance(each, inspect.Field):
                yield each.type
            elif isinstance(each, inspect.Type):
                yield each


def _inner(type: inspect.Type, where: str) -> tuple[inspect.StructType, tuple[str, ...]]:
    """The one struct with marks in a field, and the containers around it."""
    while isinstance(type, inspect.Metadata):
        type = type.type
    if isinstance(type, inspect.UnionType):
        some = [each for each in type.types if _marks(each)]
        if len(some) == 1:
            return _inner(some[0], where)
    elif isinstance(type, inspect.StructType):
        return type, ()
    elif isinstance(type, (inspect.ListType, inspect.VarTupleType)):
        found, around = _inner(type.item_type, where)
        return found, ("list", *around)
    elif isinstance(type, inspect.DictType) and not _marks(type.key_type):
        found, around = _inner(type.value_type, where)
        return found, ("dict", *around)
    raise BadDefinition(
        f"{where} has marked fields where they cannot be found",
        hint="marks go into a struct, or a list, tuple[…, ...] or dict of one struct",
    )
