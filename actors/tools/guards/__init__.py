"""Guards: they look at texts on six edges and say what they think. They advise; labels and policies protect."""

from __future__ import annotations

from actors.tools.guards.looking import DEFAULT_GUARDS, DETECTORS, checked, look, passed
from actors.tools.guards.model import ACTIONS, EDGES, MODES, Guard, outcome, redacted

__all__ = [
    "ACTIONS",
    "DEFAULT_GUARDS",
    "DETECTORS",
    "EDGES",
    "MODES",
    "Guard",
    "checked",
    "look",
    "outcome",
    "passed",
    "redacted",
]
