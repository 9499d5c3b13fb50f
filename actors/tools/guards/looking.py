"""The door to the guards: what they say of a text on an edge, and those that stand there unless others are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from actors.tools.guards.injection import find_hidden, find_orders
from actors.tools.guards.leaks import find_canaries, find_pii, find_secrets
from actors.tools.guards.links import find_links
from actors.tools.guards.model import EDGES, MODES, Detector, Guard, outcome, redacted
from events.conversations import Verdict
from events.errors import BadDefinition

VERSION: Final = "1"
"""Of all rules here: it rises with any of them."""

DETECTORS: Final[Mapping[str, Detector]] = {
    "encoding": find_hidden,
    "injection": find_orders,
    "secrets": find_secrets,
    "pii": find_pii,
    "canary": find_canaries,
    "links": find_links,
}
"""Every family, by its name."""

NOTED: Final = 50
"""Verdicts of one look that only observe and are kept: the rest would say the same."""
MOST: Final = 1000
"""Verdicts of one look that lead to something: a text with more of them is stopped."""

DEFAULT_GUARDS: Final = (
    Guard("encoding"),
    Guard("injection", edges=["inbound", "tool-call", "tool-result", "output"]),
    Guard("secrets", "redact", ["output", "outbound"], least=0.8),
    Guard("secrets", edges=["inbound", "prompt", "tool-call", "tool-result"]),
    Guard("pii", edges=["outbound"]),
    Guard("links", "redact", ["outbound"]),
    Guard("links", edges=["tool-result", "output"]),
)
"""They mostly watch; what goes out loses secrets, and pictures and links that carry something away."""


def look(edge: str, text: str, guards: Iterable[Guard]) -> list[Verdict]:
    """What the guards of an edge say of a text, in the order of the text. Raises BadDefinition for an unknown one."""
    found: list[Verdict] = []
    for guard in guards:
        if guard.name not in DETECTORS:
            raise BadDefinition(f"{guard.name!r} is not a guard", hint=", ".join(DETECTORS))
        if guard.edges and edge not in guard.edges:
            continue
        for finding in DETECTORS[guard.name](text, guard):
            if finding.score >= guard.least and finding.rule not in guard.rules:
                found.append(
                    Verdict(finding.rule, VERSION, guard.mode, finding.span, round(finding.score, 2), finding.why)
                )
    found.sort(key=lambda v: (v.span or (0, 0), v.rule))
    strict = [verdict for verdict in found if verdict.action != "observe"]
    if len(strict) > MOST:
        why = f"{len(strict)} findings in one text"
        return [*strict[:MOST], Verdict("guards.too-many", VERSION, "block", None, 1.0, why)]
    noted = [verdict for verdict in found if verdict.action == "observe"][:NOTED]
    return sorted([*strict, *noted], key=lambda v: (v.span or (0, 0), v.rule))


def checked(guards: Sequence[Any]) -> list[Guard]:
    """Guards from JSON. Raises BadDefinition that says what is wrong."""
    try:
        found = msgspec.convert(guards, list[Guard])
    except msgspec.ValidationError as error:
        raise BadDefinition(f"these are no guards: {error}") from None
    for guard in found:
        if guard.name not in DETECTORS:
            raise BadDefinition(f"{guard.name!r} is not a guard", hint=", ".join(DETECTORS))
        if guard.mode not in MODES:
            raise BadDefinition(f"{guard.mode!r} is not a mode of a guard", hint=", ".join(MODES))
        for edge in guard.edges:
            if edge not in EDGES:
                raise BadDefinition(f"{edge!r} is not an edge", hint=", ".join(EDGES))
    return found


def passed(edge: str, text: str, guards: Iterable[Guard]) -> tuple[str, str, list[Verdict]]:
    """What is to become of a text (see `outcome`), the text without what is taken out, and the verdicts."""
    verdicts = look(edge, text, guards)
    return outcome(verdicts), redacted(text, verdicts), verdicts
