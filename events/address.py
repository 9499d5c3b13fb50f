"""Names: addresses, tenants, types, and the partition an address belongs to. Validated once, at the edge."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from zlib import crc32

from events.errors import InvalidName, Refused

PARTITIONS: Final = 64
"""The number of partitions, fixed for the life of a log."""

DEFAULT_TENANT: Final = "default"

FOREIGN: Final = frozenset({"es"})
"""Kinds whose streams are written by other libraries' applications over this log: nobody's actors, without a state
here. `es` is the library `eventsourcing`."""

OUTSIDE: Final = frozenset({"user", "nats", "spool"})
"""What the names of senders begin with, before a colon, who are no part of the system."""

GOVERNED: Final = frozenset({"approval", "budget", "call", "policy", "tool"})
"""Kinds that decide what may be done, on somebody's word: who speaks to them from outside comes with a token."""

_KIND = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_ID = re.compile(r"[A-Za-z0-9._:~@%+=,;!$'()&*/-]{1,200}")
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,127}")
_TOKEN_SAFE = re.compile(r"[^A-Za-z0-9_~:@+=,;!$'()&-]")


def split(address: str) -> tuple[str, str]:
    """Split `kind/id`; the id may itself contain slashes. Raises InvalidName."""
    kind, slash, name = address.partition("/")
    if not slash or not _KIND.fullmatch(kind) or not _ID.fullmatch(name):
        raise InvalidName(
            f"{address!r} is not an address",
            hint="an address is kind/id: a kind like [a-z][a-z0-9_-]*, an id of 1 to 200 printable ASCII characters "
            "without spaces, e.g. account/42",
        )
    return kind, name


def address(kind: str, name: str) -> str:
    """Join and validate an address. Raises InvalidName."""
    text = f"{kind}/{name}"
    split(text)
    return text


def is_address(text: str) -> bool:
    """Whether it names an actor: `call/7`, but not `user:ada`, nor what a client of the bus says of itself."""
    kind, slash, name = text.partition("/")
    return bool(slash and _KIND.fullmatch(kind) and _ID.fullmatch(name))


def own_name(by: str, sender: str) -> str:
    """In whose name a message is: `by` where an actor or a host says so, else the sender's.

    Raises Refused when somebody from outside (`user:ada`, `nats:…`, `spool:…`) speaks for another.
    """
    if by and by != sender and sender.partition(":")[0] in OUTSIDE:
        raise Refused(f"{sender} cannot speak for {by}", code="speaker")
    return by or sender


def check_tenant(tenant: str) -> str:
    """Return the tenant, or raise InvalidName."""
    if not _TENANT.fullmatch(tenant):
        raise InvalidName(f"{tenant!r} is not a tenant", hint="a tenant is [a-z0-9][a-z0-9_-]*, at most 32 characters")
    return tenant


def check_type(name: str) -> str:
    """Return the type name of an event or a message, or raise InvalidName."""
    if not _TYPE.fullmatch(name):
        raise InvalidName(
            f"{name!r} is not a type name", hint="a type is [A-Za-z][A-Za-z0-9._-]*, at most 128 characters"
        )
    return name


@lru_cache(maxsize=16_384)
def partition_of(tenant: str, address: str) -> int:
    """The partition (0 … PARTITIONS - 1) that owns an address: CRC-32 of `tenant/kind/id` modulo PARTITIONS."""
    return crc32(f"{tenant}/{address}".encode()) % PARTITIONS


def token(text: str) -> str:
    """One NATS subject token for any name: everything a subject gives a meaning to is percent-encoded.

    Injective, so two names never share a subject: `%` itself, `.`, `*`, `>`, `/` and white space are encoded.
    """
    return _TOKEN_SAFE.sub(lambda m: "".join(f"%{b:02X}" for b in m.group().encode()), text)


def feed_address(source: str) -> str:
    """The address of the feed actor that owns the events of an outside `source` (a URI reference)."""
    name = re.sub(r"[^A-Za-z0-9._:~@/-]", lambda m: "".join(f"%{b:02X}" for b in m.group().encode()), source.strip("/"))
    if len(name) > 200:
        name = f"{name[:180]}~{crc32(source.encode()):08x}"
    return f"feed/{name or 'root'}"
