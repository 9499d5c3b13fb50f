"""Whether values fit their columns, checked here once so that every adapter refuses the same."""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from types import NoneType
from typing import Any, Final

import msgspec

from events.errors import InvalidData
from projections.core.definition import Layout

MAX_INDEXED: Final = 2_000
"""Bytes that fit into a key or an index of every adapter, besides the tenant and numbers."""

_TYPES: Final[dict[str, set[type[Any]]]] = {
    "str": {str},
    "int": {int},
    "float": {float, int},
    "bool": {bool},
    "bytes": {bytes},
}


def check_values(layout: Layout, rows: list[tuple[Any, ...]]) -> None:
    """Check rows, given in column order. Raises InvalidData."""
    if not rows:
        return
    limits = _limits(layout)
    for column, values in zip(layout.columns, zip(*rows, strict=True), strict=True):
        where = f"{layout.name}.{column.name}"
        if column.kind == "json":
            _check_json(where, values, column.null)
            continue
        found = set(map(type, values))
        if column.null:
            found.discard(NoneType)
        if not found <= _TYPES[column.kind]:
            names = ", ".join(sorted(t.__name__ for t in found - _TYPES[column.kind]))
            raise InvalidData(f"{where} holds {column.kind}{' or None' if column.null else ''}, not {names}")
        if column.kind == "str":
            _check_text(where, values, column.null, limits.get(column.name, 0))
        elif column.kind == "bytes":
            limit = limits.get(column.name, 0)
            if limit and max((len(v) for v in values if v is not None), default=0) > limit:
                raise InvalidData(f"{where}: too many bytes in a key or index", hint=f"at most {limit} there")
        elif column.kind == "float":
            if not all(isfinite(v) for v in values if v is not None):
                raise InvalidData(f"{where}: not a finite number")
        elif column.kind == "int":
            numbers = [v for v in values if v is not None] if column.null else values
            if numbers and (min(numbers) < -(2**63) or max(numbers) >= 2**63):
                raise InvalidData(f"{where}: a number does not fit 64 bits")


@lru_cache(maxsize=256)
def _limits(layout: Layout) -> dict[str, int]:
    """The bytes each text column in a key or index may have, so that together they fit."""
    kinds = {c.name: c.kind for c in layout.columns}
    limits: dict[str, int] = {}
    for index in (layout.key, *layout.indexes):
        texts = [name for name in index if kinds[name] in ("str", "bytes") and name != "tenant"]
        for name in texts:
            limits[name] = min(limits.get(name, MAX_INDEXED), MAX_INDEXED // len(texts))
    return limits


def _check_text(where: str, values: tuple[Any, ...], null: bool, limit: int) -> None:
    texts = [v for v in values if v is not None] if null else values
    together = "".join(texts)  # one look at a column is much quicker than one at each value
    if "\0" in together:
        raise InvalidData(f"{where}: text holds a NUL character", hint="strip it in apply")
    if not together.isascii():
        try:
            together.encode()
        except UnicodeEncodeError as error:
            raise InvalidData(f"{where}: text holds half of a surrogate pair", hint="strip it in apply") from error
    if limit and texts and max(map(len, texts)) * 4 > limit:
        longest = max(len(t.encode()) for t in texts)
        if longest > limit:
            raise InvalidData(f"{where}: text of {longest} bytes in a key or index", hint=f"at most {limit} there")


def _check_json(where: str, values: tuple[Any, ...], null: bool) -> None:
    for value in values:
        if value is None and not null:
            raise InvalidData(f"{where} holds JSON, not None")
        try:
            text = msgspec.json.encode(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidData(f"{where}: not a JSON value: {error}") from error
        if b"\\u0000" in text:
            raise InvalidData(f"{where}: text holds a NUL character", hint="strip it in apply")
