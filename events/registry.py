"""Which types exist, in which versions, and how old ones become new. Built from explicit lists, never by import."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec

from events.address import check_type
from events.envelope import Raw
from events.errors import BadDefinition, InvalidData, UnknownType
from events.subjects import Plan, plan_of

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Pure: takes the JSON object of schema version n, returns that of n + 1."""


class Type(msgspec.Struct, frozen=True):
    """An event or message type: its stable name, its current schema version, and the chain from older versions."""

    name: str
    struct: type[Any]
    schema: int = 1
    upcasters: Mapping[int, Upcaster] = {}


def versioned(
    struct: type[Any],
    *,
    name: str | None = None,
    schema: int = 1,
    upcasters: Mapping[int, Upcaster] | None = None,
) -> Type:
    """Describe a type with a name or a schema version of its own.

    `upcasters` maps each older version n to the pure function from n to n + 1; all of 1 … schema - 1 must be there.
    """
    type_name = check_type(name or struct.__name__)
    chain = dict(upcasters or {})
    if set(chain) != set(range(1, schema)):
        raise BadDefinition(
            f"{type_name} is at schema version {schema} but has upcasters from {sorted(chain) or 'none'}",
            hint=f"give one upcaster for each version from 1 to {schema - 1}",
        )
    return Type(type_name, struct, schema, chain)


def as_before(value: dict[str, Any]) -> dict[str, Any]:
    """The upcaster to a version that only has a field more, with a default that says what older ones meant."""
    return value


def as_type(item: type[Any] | Type) -> Type:
    """A bare struct is a type of its own name at schema version 1."""
    return item if isinstance(item, Type) else versioned(item)


_encode = msgspec.json.Encoder().encode


class Registry:
    """Types by name. Decoding is total: what is not registered, or newer than known, stays `Raw`."""

    def __init__(self, types: Iterable[type[Any] | Type] = ()) -> None:
        self._types: dict[str, Type] = {}
        self._decoders: dict[tuple[str, int], Callable[[bytes], Any]] = {}
        self._by_struct: dict[type[Any], Type] = {}
        self.plans: dict[str, Plan] = {}
        """Where personal fields are, for the types that have some."""
        for item in types:
            self.add(item)

    def add(self, item: type[Any] | Type) -> Type:
        """Register a type. The same type twice is fine; another one of the same name is a BadDefinition.

        So is a type whose personal fields contradict themselves, see `events.subjects`.
        """
        new = as_type(item)
        old = self._types.get(new.name)
        if old is not None:
            if old.struct is not new.struct or old.schema != new.schema:
                raise BadDefinition(
                    f"two types are named {new.name}: {old.struct.__module__}.{old.struct.__qualname__} "
                    f"(schema {old.schema}), {new.struct.__module__}.{new.struct.__qualname__} (schema {new.schema})",
                    hint="give one of them another name with versioned(..., name=…)",
                )
            return old
        plan = plan_of(new.struct)
        if plan is not None:
            self.plans[new.name] = plan
        self._types[new.name] = new
        self._by_struct[new.struct] = new
        self._decoders[new.name, new.schema] = msgspec.json.Decoder(new.struct).decode
        for version in range(1, new.schema):
            self._decoders[new.name, version] = _upcasting(new, version)
        return new

    def __iter__(self) -> Iterator[Type]:
        return iter(self._types.values())

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def get(self, name: str) -> Type | None:
        """The type of that name, or None."""
        return self._types.get(name)

    def of(self, value: Any) -> Type:
        """The type a value is an instance of. Raises UnknownType."""
        struct = cast("type[Any]", value.__class__)
        found = self._by_struct.get(struct)
        if found is None:
            raise UnknownType(
                f"{struct.__name__} is not registered here",
                hint="add it to a list",
            )
        return found

    def encode(self, value: Any) -> bytes:
        """The JSON of a value, as it is stored and sent."""
        return _encode(value)

    def understands(self, name: str, schema: int) -> bool:
        """Whether events of this type and schema version decode to something else than Raw."""
        return (name, schema) in self._decoders

    def decode(self, name: str, schema: int, data: bytes) -> Any:
        """The typed value of stored data; `Raw` when the type or its schema version is not known here.

        Raises InvalidData when the type is known and the data does not fit it.
        """
        decoder = self._decoders.get((name, schema))
        if decoder is None:
            return Raw(name, data, schema)
        try:
            return decoder(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidData(f"{name}: {error}") from error

    def decoder(self, name: str, schema: int) -> Callable[[bytes], Any] | None:
        """The bare decoder for hot loops, or None. Raises msgspec.DecodeError itself."""
        return self._decoders.get((name, schema))


def _upcasting(new: Type, version: int) -> Callable[[bytes], Any]:
    steps = [new.upcasters[v] for v in range(version, new.schema)]
    decode = msgspec.json.Decoder(dict[str, Any]).decode

    def run(data: bytes) -> Any:
        value = decode(data)
        for step in steps:
            value = step(value)
        return msgspec.convert(value, new.struct)

    return run
