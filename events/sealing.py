"""Sealing and opening what is marked in JSON. Pure; see `events.subjects` for what is marked and for the keys."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import msgspec

from events.errors import InvalidData
from events.subjects import SEALED, Keyring, KeysNeeded, Place, Plan

_KEY: Final = frozenset("0123456789abcdef")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def _spots(plan: Plan, value: Any, owner: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    """(object, field, subject) of each marked value in a tree of JSON; the subject is empty when nobody is named."""
    if not isinstance(value, dict):
        return
    tree = cast("dict[str, Any]", value)
    for field, by in plan.marked:
        if tree.get(field) is not None and not _is_mark(tree[field]):
            named = tree.get(by) if by else owner
            yield tree, field, str(named) if isinstance(named, (str, int)) else ""
    for field, name, around in plan.inside:
        for part in _within(tree.get(field), around):
            yield from _spots(plan.parts[name], part, owner)


def _within(value: Any, around: tuple[str, ...]) -> Iterator[Any]:
    if not around:
        yield value
    elif isinstance(value, dict if around[0] == "dict" else list):
        each = cast("dict[str, Any]", value).values() if around[0] == "dict" else cast("list[Any]", value)
        for part in each:
            yield from _within(part, around[1:])


def _is_mark(value: Any) -> bool:
    return isinstance(value, dict) and bool({SEALED, "$erased"} & cast("dict[str, Any]", value).keys())


def require(keyring: Keyring, plan: Plan, data: bytes, tenant: str, stream: str, needed: KeysNeeded) -> None:
    """Add the keys to `needed` that sealing this value would not find.

    Raises InvalidData when a marked field is set and nobody is named as its subject.
    """
    for _, field, who in _spots(plan, _decode(data), stream):
        if not who:
            raise InvalidData(f"field {field} is personal, but nobody is named as its subject")
        if not keyring.ready(tenant, who, stream):
            needed.subjects.add((tenant, who, stream))


def seal(keyring: Keyring, plan: Plan, data: bytes, place: Place) -> bytes:
    """The JSON of a value with its marked fields sealed. Raises KeysNeeded, and InvalidData as `require` does."""
    tree = _decode(data)
    needed = KeysNeeded()
    require(keyring, plan, data, place.tenant, place.stream, needed)
    if needed:
        raise needed
    for holder, field, who in _spots(plan, tree, place.stream):
        key, box = keyring.seal(place.tenant, who, field, _encode(holder[field]), place)
        holder[field] = {SEALED: {"v": 1, "key": key, "box": b64encode(box).decode()}}
    return _encode(tree)


def is_sealed(data: bytes) -> bool:
    """Whether there may be something sealed in this JSON: cheap, and never wrong when it says no."""
    return b'"$sealed"' in data


def unseal(keyring: Keyring, data: bytes, place: Place) -> bytes:
    """The JSON of a value with everything sealed in it opened; what was erased becomes `Erased`. Raises KeysNeeded."""
    needed = KeysNeeded()

    def open(key: str, box: bytes) -> Any:
        try:
            plain = keyring.open(key, box, place)
        except KeysNeeded as missing:
            needed.keys |= missing.keys
            return None
        return _decode(plain) if plain is not None else {"$erased": True}

    tree = _opened(_decode(data), open)
    if needed:
        raise needed
    return _encode(tree)


def move(keyring: Keyring, data: bytes, place: Place, to: Place) -> bytes:
    """The same JSON, sealed for another place. Raises KeysNeeded."""
    needed = KeysNeeded()

    def turn(key: str, box: bytes) -> Any:
        try:
            plain = keyring.open(key, box, place)
            who = keyring.subject_of(key)
            if plain is None or who is None:
                return {"$erased": True}
            new, moved = keyring.seal(to.tenant, who, "", plain, to)
        except KeysNeeded as missing:
            needed.keys |= missing.keys
            needed.subjects |= missing.subjects
            return None
        return {SEALED: {"v": 1, "key": new, "box": b64encode(moved).decode()}}

    tree = _opened(_decode(data), turn)
    if needed:
        raise needed
    return _encode(tree)


def _opened(value: Any, open: Callable[[str, bytes], Any]) -> Any:
    if isinstance(value, dict):
        tree = cast("dict[str, Any]", value)
        found = _box(tree.get(SEALED)) if len(tree) == 1 else None
        if found is not None:
            return open(*found)
        return {name: _opened(part, open) for name, part in tree.items()}
    return [_opened(part, open) for part in cast("list[Any]", value)] if isinstance(value, list) else value


def _box(value: Any) -> tuple[str, bytes] | None:
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    key, box = fields.get("key"), fields.get("box")
    if not (isinstance(key, str) and isinstance(box, str) and len(key) == 32 and _KEY.issuperset(key)):
        return None
    try:
        return key, b64decode(box, validate=True)
    except ValueError:
        return None


def keys_in(data: bytes) -> set[str]:
    """The ids of all keys that something in this JSON is sealed with."""
    found: set[str] = set()
    if is_sealed(data):
        _opened(_decode(data), lambda key, _box: found.add(key))
    return found
