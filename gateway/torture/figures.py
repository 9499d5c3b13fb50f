"""What a torture comes to, in figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.proof import Check

LOST: Final = "lost"
"""Something that was promised is not there, or is not what was said."""
DOUBLED: Final = "doubled"
REORDERED: Final = "reordered"
REPEATED: Final = "repeated"
"""A call to the world was made again that must not be."""

OF_ANY_LOG: Final = {"positions": REORDERED, "versions": REORDERED, "every cause": REORDERED, "tells": REORDERED,
                     "no event": DOUBLED, "no two": DOUBLED}  # fmt: skip
"""What the faults of `LogProof` count as, by how its statements begin."""


class Figures(msgspec.Struct, frozen=True):
    """How much was done, and what went wrong. Figures of several tortures can be added."""

    operations: int = 0
    faults: int = 0
    """Put in on purpose."""
    acknowledgements: int = 0
    events: int = 0
    calls: int = 0
    """To the world."""
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    repeated: int = 0
    """Attempts of effects."""

    def __add__(self, other: Figures) -> Figures:
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Figures(*(a + b for a, b in zip(mine, theirs, strict=True)))

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled, reordered or repeated."""
        return not (self.lost or self.doubled or self.reordered or self.repeated)


def counted(checks: Iterable[Check]) -> dict[str, int]:
    """The faults of some checks by what they come to."""
    found = {LOST: 0, DOUBLED: 0, REORDERED: 0, REPEATED: 0}
    for check in checks:
        found[check.figure] += check.count
    return found


def figured(checks: list[Check]) -> list[Check]:
    """The checks of a `LogProof`, each with what its faults count as."""
    for check in checks:
        check.figure = next((figure for words, figure in OF_ANY_LOG.items() if check.statement.startswith(words)), LOST)
    return checks
