"""Families `encoding` and `injection`: characters that hide, and phrases of somebody who gives orders to a model.

Phrases are looked for in every view of a text. They find what is clumsy, and never all: see the README.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from actors.tools.guards.model import Finding, Guard
from actors.tools.guards.views import hidden, views

_GAP: Final = r"[\s\S]{0,40}?"
_OLD: Final = r"(?:previous|prior|above|earlier|preceding|former|initial|original|all|any|your)"
_RULES: Final = (
    r"(?:instructions?|directions?|prompts?|rules?|guidelines?|orders?|constraints?|polic(?:y|ies)|programming)"
)

PHRASES: Final[tuple[tuple[str, float, re.Pattern[str]], ...]] = tuple(
    (name, score, re.compile(pattern))
    for name, score, pattern in (
        ("ignore", 0.95, rf"\b(?:ignore|disregard|forget|override|bypass|skip|drop){_GAP}\b{_OLD}\b{_GAP}\b{_RULES}\b"),
        ("new-orders", 0.9,
            rf"\b(?:new|updated|real|actual|additional|urgent|important|hidden|secret)\s+{_RULES}\s*(?::|follow"
            rf"|are|from|for)"),
        ("role-tag", 0.95,
            r"<\|?\s*(?:im_start|im_end|system|assistant|endoftext)\s*\|?>|\[/?(?:inst|system)\]|<<\s*sys\s*>>"
            r"|^[ \t]*#{2,}[ \t]*(?:system|instructions?)\b"),
        ("role-line", 0.7,
            r"(?m)^[ \t]*(?:system|assistant|developer|admin(?:istrator)?|operator)[ \t]*"
            r"(?:\([^)\n]{0,30}\))?[ \t]*:\s"),
        ("you-are-now", 0.8,
            r"\byou\s+(?:are|will)\s+(?:now|from now on)\b|\bfrom\s+now\s+on,?\s+you\b"
            r"|\bact\s+as\s+(?:an?\s+)?(?:unrestricted|different|developer|root|dan)\b|\benter\s+(?:developer"
            r"|debug|maintenance|god)\s+mode\b"),
        ("addressed", 0.7,
            r"\b(?:attention|note|message|instructions?|reminder|dear)\s*(?:to|for|,)?\s*(?:the\s+|any\s+"
            r"|all\s+)?(?:ai|llm|assistant|agent|language\s+model|chatbot|model)s?\b"),
        ("if-you-are-a-model", 0.75,
            r"\bif\s+you\s+are\s+(?:an?\s+|the\s+)?(?:ai|llm|assistant|agent|language\s+model|model)\b"),
        ("reveal-prompt", 0.85,
            r"\b(?:reveal|print|repeat|show|output|leak|tell\s+me|display)\b[\s\S]{0,30}?\b(?:system\s+prompt"
            r"|hidden\s+prompt|your\s+(?:instructions|prompt|rules)|initial\s+prompt)\b"),
        ("keep-quiet", 0.85,
            r"\b(?:do\s+not|don'?t|never|without)\s+(?:tell(?:ing)?|mention(?:ing)?|inform(?:ing)?"
            r"|notify(?:ing)?|alert(?:ing)?|reveal(?:ing)?)\b[\s\S]{0,30}?\b(?:user|human|person|owner|anyone"
            r"|anybody|this)\b"),
        ("send-away", 0.85,
            r"\b(?:send|post|upload|forward|email|e-mail|mail|transmit|exfiltrate|deliver|submit"
            r"|leak)\b[\s\S]{0,80}?(?:https?://|[\w.+-]{1,64}@[\w-]{1,64}\.|\bwebhook\b)"),
        ("secret-wanted", 0.85,
            r"\b(?:send|post|upload|forward|email|read|print|include|append|reveal|exfiltrate|leak"
            r"|copy)\b[\s\S]{0,60}?\b(?:api[\s_-]?keys?|passwords?|credentials?|secrets?|private\s+keys?"
            r"|access\s+tokens?|\.env|id_rsa|ssh\s+keys?)\b"),
        ("use-tool", 0.7,
            r"\b(?:call|invoke|use|run|execute|trigger)\s+(?:the\s+)?[`'\"]?[\w.-]{2,40}[`'\"]?\s+(?:tool"
            r"|function|command|action|plugin|api)\b|\btool_call\b|\bfunction_call\b"),
        ("destroy", 0.8,
            r"\brm\s+-rf?\b|\b(?:delete|erase|wipe|drop|remove|destroy)\b[\s\S]{0,25}?\b(?:all|every|entire"
            r"|database|tables?|files?|folder|backups?|account)\b"),
        ("pay", 0.75,
            r"\b(?:transfer|wire|send|pay)\b[\s\S]{0,30}?(?:[$€£]\s?\d|\b\d[\d.,]*\s?(?:usd|eur|dollars|euros"
            r"|btc|eth)\b|\bbitcoins?\b)"),
        ("pretext", 0.6,
            r"\b(?:this\s+is\s+(?:an?\s+)?(?:authorized|authorised|approved|official)|the\s+(?:user|owner"
            r"|admin(?:istrator)?)\s+(?:has\s+)?(?:already\s+)?(?:approved|authorized|authorised|consented"
            r"|asked))\b"),
    )
)  # fmt: skip
"""Id, how sure it is, and what it looks like in lower case."""


NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "ignore": (
        "instruction",
        "direction",
        "prompt",
        "rule",
        "guideline",
        "order",
        "constraint",
        "polic",
        "programming",
    ),
    "role-tag": ("im_start", "im_end", "system", "assistant", "endoftext", "inst", "sys"),
    "role-line": ("system", "assistant", "developer", "admin", "operator"),
    "you-are-now": ("you", "act", "mode"),
    "addressed": ("ai", "llm", "assistant", "agent", "model", "chatbot"),
    "if-you-are-a-model": ("if",),
    "reveal-prompt": ("prompt", "your"),
    "keep-quiet": ("tell", "mention", "inform", "notif", "alert", "reveal"),
    "send-away": ("http", "@", "webhook"),
    "secret-wanted": ("key", "password", "credential", "secret", "token", ".env", "id_rsa"),
    "use-tool": ("tool", "function", "command", "action", "plugin", "api"),
    "destroy": ("rm", "delete", "erase", "wipe", "drop", "remove", "destroy"),
    "pay": ("transfer", "wire", "send", "pay", "bitcoin"),
    "pretext": ("this", "the"),
}
"""Words of which a phrase has one: most texts have none, and need not be searched."""


def find_hidden(text: str, _guard: Guard) -> Iterator[Finding]:
    """Characters nobody sees, and letters of another script in the middle of a word."""
    if text.isascii():
        return
    for run in _BEYOND_ASCII.finditer(text):
        start = None
        for place, character in enumerate(f"{run.group()} ", run.start()):
            if place < run.end() and hidden(character) and character not in "\u00ad\ufeff":
                start = place if start is None else start
            elif start is not None:
                yield Finding("encoding.hidden", (start, place), _hidden_score(text[start:place]), "nobody sees these")
                start = None
    for match in _WORD.finditer(text):
        word = match.group()
        if not word.isascii() and _LATIN.search(word) and _OTHER.search(word):
            yield Finding("encoding.mixed-scripts", match.span(), 0.7, "letters of two alphabets in one word")


_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_LATIN: Final = re.compile(r"[a-zA-Z]")
_OTHER: Final = re.compile(r"[\u0370-\u03ff\u0400-\u04ff]")


def _hidden_score(run: str) -> float:
    """One joiner belongs to an emoji or a script; tags, direction marks and long runs belong to nothing."""
    if any(0xE0000 <= ord(c) <= 0xE007F for c in run) or any(
        c in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068" for c in run
    ):
        return 0.9
    return 0.8 if len(run) > 3 else 0.5


def find_orders(text: str, _guard: Guard) -> Iterator[Finding]:
    """Phrases in any view; one rule tells of one place once."""
    told: set[tuple[str, tuple[int, int]]] = set()
    for view in views(text):
        for name, score, pattern in PHRASES:
            if not any(word in view.text for word in NEEDED.get(name, ("",))):
                continue
            for match in pattern.finditer(view.text):
                span = view.place(*match.span())
                if (name, span) in told:
                    continue
                told.add((name, span))
                # Who encodes an order wants it not to be seen.
                sure = score if view.how == "folded" else min(1.0, score + 0.1)
                yield Finding(f"injection.{name}", span, sure, f"reads like an order ({view.how})")
