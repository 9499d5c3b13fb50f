"""What a guard is, what it finds, and what becomes of a text by its verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from events.conversations import Verdict

EDGES: Final = ("inbound", "prompt", "output", "tool-call", "tool-result", "outbound")
"""Where texts are looked at: what comes in, what a model reads, what it writes, the arguments of a tool, its result,
and what goes out."""

MODES: Final = ("observe", "redact", "hold", "block")
"""What a finding leads to, rising: it is noted; its span is taken out; the text waits for a verdict; it is stopped."""

ACTIONS: Final = ("allow", *MODES)


class Guard(msgspec.Struct, frozen=True, omit_defaults=True):
    """A family of rules at work: encoding, injection, secrets, pii, canary, links.

    `edges` may be empty: all six. `rules` leaves only those out of the family, by their ids; `least` is the score from
    which a finding counts. `canaries` are texts that must never be seen again, `hosts` those that links may lead to
    (`example.org` and all below it).
    """

    name: str
    mode: str = "observe"
    edges: list[str] = []
    rules: list[str] = []
    least: float = 0.5
    canaries: list[str] = []
    hosts: list[str] = []


class Finding(msgspec.Struct, frozen=True):
    """What a rule found: where in the text (characters), how sure it is (0 … 1), and why it says so."""

    rule: str
    span: tuple[int, int]
    score: float
    why: str


Detector = Callable[[str, Guard], Iterable[Finding]]
"""A family: a pure function from a text to what it finds there."""


def outcome(verdicts: Iterable[Verdict]) -> str:
    """What is to become of the text: the strictest of allow, observe, redact, hold, block."""
    return max((verdict.action for verdict in verdicts), key=ACTIONS.index, default="allow")


def redacted(text: str, verdicts: Iterable[Verdict]) -> str:
    """The text with a note in the place of each span that a verdict takes out."""
    spans = sorted((v.span, v.rule) for v in verdicts if v.action == "redact" and v.span is not None)
    parts: list[str] = []
    at = 0
    for (start, end), rule in spans:
        if end <= at:
            continue
        if start >= at:
            parts += [text[at:start], f"[removed: {rule}]"]
        at = end
    return "".join([*parts, text[at:]])
