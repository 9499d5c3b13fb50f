"""Families `secrets`, `pii` and `canary`: what should not be where it is."""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote

from actors.tools.guards.model import Finding, Guard
from actors.tools.guards.views import decoded, folded

SECRETS: Final[tuple[tuple[str, float, re.Pattern[str]], ...]] = tuple(
    (name, score, re.compile(pattern))
    for name, score, pattern in (
        ("private-key", 1.0,
            r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY-----(?:[\s"
            r"\S]{0,8000}?-----END (?:[A-Z]+ ){0,3}PRIVATE KEY-----)?"),
        ("aws", 0.95, r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        ("github", 0.95, r"\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255})\b"),
        ("gitlab", 0.95, r"\bglpat-[A-Za-z0-9_-]{20,64}\b"),
        ("slack", 0.95, r"\bxox[abprs]-[A-Za-z0-9-]{10,255}\b"),
        ("stripe", 0.95, r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,255}\b"),
        ("openai", 0.9, r"\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{16,255}\b"),
        ("google", 0.9, r"\bAIza[0-9A-Za-z_-]{35}\b"),
        ("telegram", 0.9, r"\b\d{8,10}:[A-Za-z0-9_-]{35}\b"),
        ("jwt", 0.85, r"\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,1000}"),
        ("url-password", 0.8, r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{1,64}:[^\s@/]{3,128}@[\w.-]+"),
        ("named", 0.7,
            r"(?i)\b(?:api[_-]?key|secret(?:[_-]?key)?|passw(?:or)?d|passphrase|access[_-]?token|auth[_-]?token"
            r"|client[_-]?secret)\b[\"']?\s{0,3}[:=]\s{0,3}[\"']?[^\s\"',;]{8,200}"),
    )
)  # fmt: skip

_TOKEN: Final = re.compile(r"(?<![\w+/-])[A-Za-z0-9+/_-]{24,200}={0,2}(?![\w+/-])")
_DULL: Final = re.compile(
    r"[0-9a-f]+|[0-9A-F]+|[0-9]+|[a-z_/-]+|[A-Z_/-]+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
)
"""Hashes, UUIDs, paths and words: long, and nobody's secret."""
DENSE: Final = 4.2
"""Bits per character from which a token looks drawn by lot."""


def find_secrets(text: str, _guard: Guard) -> Iterator[Finding]:
    """Keys and tokens by their form, in the text and in what is encoded in it; and what is too dense for words."""
    taken: list[tuple[int, int]] = []
    for name, score, pattern in SECRETS:
        for match in pattern.finditer(text):
            taken.append(match.span())
            yield Finding(f"secrets.{name}", match.span(), score, "has the form of a secret")
    for view in decoded(text):
        for name, score, pattern in SECRETS:
            if pattern.search(view.text):
                taken.append(view.span)
                yield Finding(f"secrets.{name}", view.span, score, f"has the form of a secret, in {view.how}")
    for match in _TOKEN.finditer(text):
        token = match.group()
        if _DULL.fullmatch(token) or any(start < match.end() and match.start() < end for start, end in taken):
            continue
        if entropy(token) >= DENSE and any(c.isdigit() for c in token):
            yield Finding("secrets.dense", match.span(), 0.5, f"{entropy(token):.1f} bits per character")


def entropy(text: str) -> float:
    """Shannon's, in bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values()) if text else 0.0


_EMAIL: Final = re.compile(r"(?<![\w.+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_CARD: Final = re.compile(r"(?<![\d.])(?:\d[ -]?){12,18}\d(?![\d.])")
_IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b")
_PHONE: Final = re.compile(r"(?<![\w+])\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?(?:\d{2,4}[ .-]?){2,4}\d{2,4}(?!\w)")


def luhn(digits: str) -> bool:
    """Whether the check digit of a card is right (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        n = int(digit) * (2 if place % 2 else 1)
        total += n - 9 if n > 9 else n
    return total % 10 == 0


def iban(text: str) -> bool:
    """Whether the check digits of an account number are right (ISO 13616, ISO 7064 mod 97-10)."""
    compact = text.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def find_pii(text: str, _guard: Guard) -> Iterator[Finding]:
    """Addresses, cards, accounts and telephone numbers."""
    for match in _EMAIL.finditer(text):
        yield Finding("pii.email", match.span(), 0.9, "an e-mail address")
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if luhn(digits) and len(set(digits)) > 1:
            yield Finding("pii.card", match.span(), 0.9, "a card number")
    for match in _IBAN.finditer(text):
        if iban(match.group()):
            yield Finding("pii.iban", match.span(), 0.95, "an account number")
    for match in _PHONE.finditer(text):
        yield Finding("pii.phone", match.span(), 0.6, "a telephone number")


ENCODERS: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("as it is", lambda text: text),
    ("backwards", lambda text: text[::-1]),
    ("hex", lambda text: text.encode().hex()),
    ("percent", lambda text: "".join(f"%{byte:02x}" for byte in text.encode())),
    ("quoted", lambda text: quote(text, safe="").lower()),
)


def find_canaries(text: str, guard: Guard) -> Iterator[Finding]:
    """Canaries, as they are or encoded: whoever repeats one has read what was not meant to go on."""
    low = folded(text).text
    flat = re.sub(r"[^a-z0-9]", "", low)
    for number, canary in enumerate(guard.canaries):
        if not canary:
            continue
        ways = [how for how, encode in ENCODERS if encode(canary.lower()) in low]
        ways += ["base64" for form in base64_forms(canary) if form in text][:1]
        ways += ["with gaps"] if re.sub(r"[^a-z0-9]", "", canary.lower()) in flat and not ways else []
        if ways:
            place = text.find(canary)
            span = (place, place + len(canary)) if place >= 0 else (0, len(text))
            yield Finding(f"canary.{number}", span, 1.0, f"a canary, {ways[0]}")


def base64_forms(text: str) -> list[str]:
    """What base64 makes of a text in the middle of another one: three alignments, less the ends that depend on it."""
    forms: list[str] = []
    for shift in range(3):
        data = b"\0" * shift + text.encode()
        whole = base64.b64encode(data[: len(data) // 3 * 3]).decode()
        form = whole[math.ceil(shift * 8 / 6) :]
        if len(form) >= 8:
            forms += [form, form.replace("+", "-").replace("/", "_")]
    return list(dict.fromkeys(forms))
