"""Ids that are the same whenever the same thing is decided again.

Every id made here is a UUID in its text form. Events and tells take theirs from the message that was handled, so a
decision repeated after a crash, on any host, produces the same ids.
"""

from __future__ import annotations

import time
from functools import lru_cache
from hashlib import blake2b
from random import Random, SystemRandom
from typing import Final

_random = SystemRandom()

TIMERS: Final = 0x8000
"""Added to the ordinal of a timer."""
_ENDS: Final = tuple(f"{ordinal:04x}" for ordinal in range(256))


def derived(sender: str, message_id: str, time_us: int) -> str:
    """The common first 32 characters of all ids of one decision; `numbered` makes an id of them.

    Shaped as UUIDv7 (RFC 9562): 48 bits of the handled message's time in milliseconds, then BLAKE2b of
    (sender, message id), then the ordinal of the output within the decision, below `TIMERS` but for timers: so all the
    tells of a decision can be told from everything else it led to.
    """
    h = blake2b(f"{sender}\0{message_id}".encode(), digest_size=7).hexdigest()
    return f"{_prefix(time_us // 1000)}{h[:3]}-8{h[3:6]}-{h[6:]}"


def numbered(base: str, ordinal: int) -> str:
    """The id of one output of a decision: what `derived` returned, and the output's ordinal as four hex digits."""
    return base + (_ENDS[ordinal] if ordinal < 256 else f"{ordinal:04x}")


@lru_cache(maxsize=1024)
def _prefix(time_ms: int) -> str:
    t = f"{time_ms:012x}"
    return f"{t[:8]}-{t[8:]}-7"


def random_id(now_us: int | None = None, random: Random = _random) -> str:
    """A fresh UUIDv7 for something that begins here: a message without a key, a correlation, a host."""
    now_ms = (time.time_ns() // 1_000_000) if now_us is None else now_us // 1000
    r = random.getrandbits(74)
    h = f"{now_ms:012x}7{r >> 62:03x}{(r >> 48 & 0x3FFF) | 0x8000:04x}{r & 0xFFFFFFFFFFFF:012x}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def keyed(tenant: str, principal: str, target: str, key: str) -> str:
    """The message id of an idempotency key: a UUIDv8 hash of (tenant, principal, target, key).

    A repetition has the same id, so the inbox gives it the first answer.
    """
    h = blake2b("\0".join((tenant, principal, target, key)).encode(), digest_size=16).hexdigest()
    return f"{h[:8]}-{h[8:12]}-8{h[13:16]}-8{h[17:20]}-{h[20:]}"


def digest(type: str, body: bytes) -> bytes:
    """16 bytes that tell one body from another under the same message id. `body` is canonical JSON."""
    return blake2b(type.encode() + b"\0" + body, digest_size=16).digest()
