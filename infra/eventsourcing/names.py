"""How the library's names become ours: application and originator an address, a topic an event type.

Topics are text here. Nothing is imported because of one, and none is resolved.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from uuid import UUID

from events.address import check_type, split

KIND: Final = "es"
SHARED: Final = "~dcb"
"""The id of the one stream of an application whose decisions cross streams. No originator is called so."""

_APPLICATION: Final = re.compile(r"[^A-Za-z0-9_-]")
_ORIGINATOR: Final = re.compile(r"[^A-Za-z0-9._:@+=,/-]")
_TYPE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST: Final = 200
"""Characters of an address after its kind."""
_LONGEST_TYPE: Final = 128


@lru_cache(maxsize=1024)
def application_key(name: str) -> str:
    """The common beginning of an application's streams: `es/<name>`, everything but letters, digits, _ and - encoded.

    So the first dot ends it. An application without a name is called `application`.
    """
    return f"{KIND}/{_shortened(_encoded(_APPLICATION, name or 'application'), 100)}"


def stream_of(application: str, originator: UUID | str) -> str:
    """The stream of an aggregate: `es/<application>.<originator id>`. Raises InvalidName."""
    return _stream(application_key(application), str(originator))


def shared_stream(application: str) -> str:
    """The stream of all events of an application without aggregates (DCB)."""
    return f"{application_key(application)}.{SHARED}"


@lru_cache(maxsize=100_000)
def _stream(key: str, originator: str) -> str:
    room = _LONGEST - len(key) + len(KIND)
    address = f"{key}.{_shortened(_encoded(_ORIGINATOR, originator), room)}"
    split(address)
    return address


@lru_cache(maxsize=10_000)
def type_of(topic: str) -> str:
    """The event type of a topic: `school.domain:Dog.Registered` is `school.domain.Dog.Registered`.

    It has a dot, so it is never taken for one of the short names that actors give their events. Longer names than a
    type may have lose their beginning and gain a hash. Raises InvalidName.
    """
    name = _TYPE.sub("-", topic.replace(":", ".").replace("<locals>.", "")).strip("-._")
    if "." not in name or not name[0].isalpha():
        name = f"{KIND}.{name or 'event'}"
    if len(name) > _LONGEST_TYPE:
        tail = name[-(_LONGEST_TYPE - 20) :].partition(".")[2] or name[-(_LONGEST_TYPE - 20) :]
        name = f"{KIND}.{tail}-{_hash(topic, 8)}"
    return check_type(name)


def _encoded(unsafe: re.Pattern[str], text: str) -> str:
    return unsafe.sub(lambda m: "".join(f"%{b:02X}" for b in m.group().encode("utf-8", "surrogatepass")), text)


def _shortened(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 33]}~{_hash(text, 16)}"


def _hash(text: str, size: int) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
