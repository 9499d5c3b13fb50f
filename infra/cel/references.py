"""What an expression reads, from its checked form.

The library shows no syntax tree, but serializes one: `google.protobuf.Any` around `cel.expr.CheckedExpr`
(https://github.com/google/cel-spec/blob/master/proto/cel/expr). A dozen of its fields are read here, on the wire.
"""

from __future__ import annotations

from collections.abc import Iterator

Field = tuple[int, bytes | int]


def references(serialized: bytes) -> tuple[tuple[str, ...], ...]:
    """Every path that begins with a free name, as far as its parts are literal; each once, in order."""
    checked = _one(serialized, 2)
    found: dict[tuple[str, ...], None] = {}
    _walk(_one(checked, 4), frozenset(), found)
    return tuple(found)


def _walk(expr: bytes, bound: frozenset[str], found: dict[tuple[str, ...], None]) -> None:
    path = _path(expr)
    if path is not None:
        if path[0] not in bound:
            found[path] = None
        return
    for number, body in _fields(expr):
        if isinstance(body, int):
            continue
        if number == 5:  # select
            _walk(_one(body, 1), bound, found)
        elif number == 6:  # call
            for part, inner in _fields(body):
                if part in (1, 3) and isinstance(inner, bytes):
                    _walk(inner, bound, found)
        elif number == 7:  # list
            for part, inner in _fields(body):
                if part == 1 and isinstance(inner, bytes):
                    _walk(inner, bound, found)
        elif number == 8:  # map or message
            for part, entry in _fields(body):
                if part == 2 and isinstance(entry, bytes):
                    for place, inner in _fields(entry):
                        if place in (3, 4) and isinstance(inner, bytes):
                            _walk(inner, bound, found)
        elif number == 9:  # comprehension
            parts = dict(_fields(body))
            names = bound | {str(name, "utf-8") for n in (1, 3, 8) if isinstance(name := parts.get(n), bytes)}
            for place, inner in parts.items():
                if place in (2, 4, 5, 6, 7) and isinstance(inner, bytes):
                    _walk(inner, bound if place in (2, 4) else names, found)


def _path(expr: bytes) -> tuple[str, ...] | None:
    """The literal path that an expression is, or None."""
    for number, body in _fields(expr):
        if isinstance(body, int):
            continue
        if number == 4:
            return (_one(body, 1).decode(),)
        if number == 5:
            before = _path(_one(body, 1))
            return None if before is None else (*before, _one(body, 2).decode())
        if number == 6:
            parts = list(_fields(body))
            arguments = [inner for part, inner in parts if part == 3 and isinstance(inner, bytes)]
            if (2, b"_[_]") in parts and len(arguments) == 2:
                before, key = _path(arguments[0]), _text(arguments[1])
                if before is not None and key is not None:
                    return (*before, key)
            return None
    return None


def _text(expr: bytes) -> str | None:
    """The value of an expression that is a literal string."""
    for number, body in _fields(expr):
        if number == 3 and isinstance(body, bytes):
            for part, value in _fields(body):
                if part == 6 and isinstance(value, bytes):
                    return value.decode()
    return None


def _one(message: bytes, wanted: int) -> bytes:
    for number, body in _fields(message):
        if number == wanted and isinstance(body, bytes):
            return body
    return b""


def _fields(message: bytes) -> Iterator[Field]:
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
        elif kind == 2:
            size, at = _varint(message, at)
            yield tag >> 3, message[at : at + size]
            at += size
        else:
            size = 8 if kind == 1 else 4
            yield tag >> 3, message[at : at + size]
            at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
