"""Two builds held against each other at one position: sampled rows by their digests, and what each has parked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from projections.core.definition import Key, Layout

if TYPE_CHECKING:
    from projections.core.port import Build, ReadModelStore

SAMPLE: Final = 1_000
"""Rows of each table that are compared, chosen by their keys in both builds."""
SHOWN: Final = 5
"""Rows and keys that are named."""
DECISIONS: Final = 10_000
"""Decisions about parked keys that are looked at."""


class Comparison(msgspec.Struct, frozen=True):
    """What an old and a new build hold at `position`.

    Of `compared` rows, `differing` are in both but not equal, `missing` in the old one alone, `added` in the new one
    alone; `examples` names some of those. `parks` are keys that only the new one parks and that nobody decided about,
    `parked` says whether anything at all is parked or was decided about. Columns and tables that only one of them has
    are not compared; `same` says that both are of the same version, so that nothing should differ.
    """

    position: int
    same: bool
    compared: int = 0
    differing: int = 0
    missing: int = 0
    added: int = 0
    examples: tuple[str, ...] = ()
    parks: tuple[str, ...] = ()
    parked: bool = False

    @property
    def unequal(self) -> int:
        """Rows that are not the same."""
        return self.differing + self.missing + self.added

    @property
    def unexplained(self) -> str:
        """Why the new build must not take the old one's place without a person's word, or empty.

        A new version is meant to differ, and parked keys that were retried, let go or mended explain other rows; all
        else means that `apply` is not a function of the events, or that the code changed under its version.
        """
        if not self.same:
            return ""
        if self.parks:
            return f"it parks {len(self.parks)} keys that the live one does not: {', '.join(self.parks[:SHOWN])}"
        if self.unequal and not self.parked:
            return f"{self.unequal} of {self.compared} rows are not the same, among them {'; '.join(self.examples)}"
        return ""


Samples = dict[str, dict[Key, None]]
"""Keys to compare, by table."""


async def sample(store: ReadModelStore, old: Build, new: Build, size: int = SAMPLE) -> Samples:
    """The rows to look at. This may take a while, so it is done before anything stands still."""
    found: Samples = {}
    for table, _ in comparable(old, new):
        keys = found[table] = {}
        for build in (old, new):
            keys.update(dict.fromkeys(await store.sample(build, table, size)))
    return found


def comparable(old: Build, new: Build) -> list[tuple[str, tuple[str, ...]]]:
    """Tables whose rows have the same key in both, each with the columns that both have."""
    theirs = {layout.name: layout for layout in new.tables}
    return [
        (layout.name, _common(layout, theirs[layout.name]))
        for layout in old.tables
        if layout.name in theirs and _keys(layout) == _keys(theirs[layout.name])
    ]


def _keys(layout: Layout) -> list[tuple[str, str]]:
    return [(c.name, c.kind) for name in layout.key for c in layout.columns if c.name == name]


def _common(one: Layout, other: Layout) -> tuple[str, ...]:
    kinds = {c.name: c.kind for c in other.columns}
    return tuple(c.name for c in one.columns if kinds.get(c.name) == c.kind)


async def compare(store: ReadModelStore, old: Build, new: Build, samples: Samples) -> Comparison:
    """Hold them against each other. Both must stand still, at the same position."""
    compared = differing = missing = added = 0
    examples: list[str] = []
    for table, columns in comparable(old, new):
        keys = list(samples.get(table, ()))
        before = await store.digests(old, table, columns, keys)
        after = await store.digests(new, table, columns, keys)
        for key in keys:
            one, other = before.get(key), after.get(key)
            compared += one is not None or other is not None
            if one == other:
                continue
            missing += other is None
            added += one is None
            differing += one is not None and other is not None
            if len(examples) < SHOWN:
                examples.append(f"{table} {'/'.join(map(str, key))}")
    parks, parked = await _parked(store, old, new)
    return Comparison(
        old.cursor, old.version == new.version, compared, differing, missing, added, tuple(examples), parks, parked
    )


async def _parked(store: ReadModelStore, old: Build, new: Build) -> tuple[tuple[str, ...], bool]:
    before: Sequence[str] = [p.key for p in await store.parked(old)]
    after: Sequence[str] = [p.key for p in await store.parked(new)]
    decided = {decision.key for _, decision in await store.decisions(old.projection, DECISIONS)}
    return tuple(k for k in after if k not in before and k not in decided), bool(before or after or decided)
