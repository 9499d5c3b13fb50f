"""Appends of one batch that would collide: rare, and then judged one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from events.store import Append


def independent(batch: Sequence[Append]) -> list[Sequence[Append]]:
    """The batch in parts, so that within a part no two appends share a stream, message, mailbox row or effect.

    The guards of a part see what the parts before it wrote. An append that can never be written (its stream had one
    already in this batch, or it names something twice) comes back expecting an impossible version.
    """
    if _are_independent(batch):
        return [batch]
    parts: list[Sequence[Append]] = []
    part: list[Append] = []
    taken: set[Any] = set()
    streams: set[tuple[str, str]] = set()
    for append in batch:
        keys = _keys(append)
        unique = set(keys)
        if part and not taken.isdisjoint(unique):
            parts.append(part)
            part, taken = [], set()
        stream = (append.tenant, append.stream)
        impossible = stream in streams or len(unique) < len(keys)
        part.append(replace(append, expected=-1, fork_of=None) if impossible else append)
        taken |= unique
        streams.add(stream)
    parts.append(part)
    return parts


def _are_independent(batch: Sequence[Append]) -> bool:
    if len({(a.tenant, a.stream) for a in batch}) < len(batch):
        return False
    messages = [m.id for a in batch for m in a.handled]
    if len(set(messages)) < len(messages):
        return False
    rest: list[Any] = []
    for a in batch:
        if a.taken:
            rest += a.taken
        if a.effects:
            rest += [e.id for e in a.effects]
        if a.changes:
            rest += {c.id for c in a.changes}.difference(e.id for e in a.effects)
        if a.fork_of and len(batch) > 1:
            return False
    return len(set(rest)) == len(rest)


def _keys(append: Append) -> list[Any]:
    keys: list[Any] = [(append.tenant, append.stream), *(m.id for m in append.handled), *append.taken]
    asked = [e.id for e in append.effects]
    keys += asked
    keys += {c.id for c in append.changes}.difference(asked)
    if append.fork_of is not None:
        keys.append((append.tenant, append.fork_of[0]))
    return keys
