"""Places of steps in a run, and where in the plan they stand.

`step` · `group/step` · `map[3]` an item · `loop#2` an iteration · `map[3]#0/step` · `step!catch/a` · `step!finally/a` ·
`step!undo`. A block's scope has the place of what opened it; the root scope is the empty string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b

_IN_ADDRESSES = str.maketrans("[]#", "()+")
"""What addresses have instead of these."""

_REPEATED = re.compile(r"\[\d+\]|#\d+")


def in_plan(place: str) -> str:
    """The same place without its items and iterations: where the plan says what is to be done there."""
    if "[" in place or "#" in place:
        return _REPEATED.sub("", place)
    return place


def scope_of(place: str) -> str:
    """The scope a step stands in."""
    return place.rpartition("/")[0]


def name_of(place: str) -> str:
    """The step's own name, without item or iteration."""
    return in_plan(place.rpartition("/")[2])


def inside(scope: str, name: str) -> str:
    """The place of a step of a scope."""
    return f"{scope}/{name}" if scope else name


def part(place: str, number: int) -> str:
    """The place of a part of a large map: a child run handles its items."""
    return f"{place}%{number}"


def part_of(place: str) -> tuple[str, int] | None:
    """(map, number) of a part; None for everything else."""
    owner, mark, number = place.rpartition("%")
    return (owner, int(number)) if mark and number.isdigit() else None


def belongs(place: str, owner: str) -> bool:
    """Whether a place is that of `owner` or anything within it."""
    return place.startswith(owner) and (len(place) == len(owner) or place[len(owner)] in "/[#!%")


def repeats(place: str) -> tuple[str, str, int] | None:
    """(owner, "item" or "iteration", number) of an item or an iteration; None for a step itself."""
    last = place[-1:]
    if last == "]":
        owner, _, number = place[:-1].rpartition("[")
        return owner, "item", int(number)
    if last.isdigit():
        owner, mark, number = place.rpartition("#")
        if mark and number.isdigit():
            return owner, "iteration", int(number)
    return None


def step_of(place: str) -> str:
    """The step that a place belongs to, with all its items and iterations taken away at the end."""
    while (found := repeats(place)) is not None:
        place = found[0]
    return place


def stands_alone(place: str) -> bool:
    """Whether no scope counts it: items and iterations (their owner does), and what is done to undo a step."""
    return place.endswith("!undo") or repeats(place) is not None or part_of(place) is not None


def around(place: str) -> Iterator[tuple[str, str, int]]:
    """What surrounds a place, innermost first: (owner, "item" or "iteration", number) or (scope, "scope", 0)."""
    while True:
        while (found := repeats(place)) is not None:
            yield found
            place = found[0]
        if not place:
            return
        place = scope_of(place)
        yield place, "scope", 0
        if "!" in place.rpartition("/")[2]:
            place = place.rpartition("!")[0]


def child_of(address: str, place: str, attempt: int = 1) -> str:
    """The id of the run that a step starts: it names its parent as long as that fits."""
    name = f"{address.partition('/')[2]}.{place.translate(_IN_ADDRESSES)}" + (f"~{attempt}" if attempt > 1 else "")
    if len(name) <= 150:
        return name
    return f"{name[:110]}~{blake2b(name.encode(), digest_size=16).hexdigest()}"
