"""Large results: kept by content and passed on as `{"$blob": sha256, "size": bytes}`, resolved before a task runs."""

from __future__ import annotations

from typing import Any, Final, TypeGuard, cast

import msgspec

from events.blobs import Blobs

BLOB: Final = "$blob"
LIMIT: Final = 64 * 1024
"""Bytes of JSON up to which a result travels as it is."""


def is_reference(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether this stands for a value kept elsewhere."""
    return value.__class__ is dict and len(value) == 2 and BLOB in value and "size" in value


def refers(value: Any) -> bool:
    """Whether there is a reference anywhere in a JSON value."""
    if value.__class__ is dict:
        return is_reference(value) or any(refers(v) for v in value.values() if v.__class__ in (dict, list))
    if value.__class__ is list:
        return any(refers(v) for v in value if v.__class__ in (dict, list))
    return False


async def resolved(value: Any, blobs: Blobs) -> Any:
    """The value with everything it refers to in its place. Raises NotFound, StoreUnavailable."""
    if is_reference(value):
        return msgspec.json.decode(await blobs.get(str(value[BLOB])))
    if value.__class__ is dict:
        entries = cast("dict[str, Any]", value)
        return {k: await resolved(v, blobs) if refers(v) else v for k, v in entries.items()}
    if value.__class__ is list:
        return [await resolved(v, blobs) if refers(v) else v for v in cast("list[Any]", value)]
    return value


async def kept(encoded: bytes, blobs: Blobs) -> dict[str, Any]:
    """Keep a large result; what stands for it. Raises StoreUnavailable, TooLarge."""
    return {BLOB: await blobs.put(encoded), "size": len(encoded)}
