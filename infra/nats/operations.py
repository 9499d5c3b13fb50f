"""Questions and operator commands of one actor, performed on the host that owns it: `q.` and `ctl.`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from actors.core.port import Actors
from events.errors import InvalidData, UnknownType
from infra.nats.messages import encode_answer

OP = "thespis-op"
"""The header that names the operation."""

_encode = msgspec.json.Encoder().encode


class Query(msgspec.Struct):
    """Arguments of `query`; `body` is the question's own data."""

    question: str
    body: msgspec.Raw


class View(msgspec.Struct):
    """Arguments of `view`."""

    at: int | None = None


class Park(msgspec.Struct):
    """Arguments of `park`."""

    by: str
    reason: str


class Resume(msgspec.Struct):
    """Arguments of `resume`."""

    by: str
    reason: str
    skip: bool = False


class Fork(msgspec.Struct):
    """Arguments of `fork`; the actor addressed is the new one, `source` the one continued."""

    source: str
    version: int
    by: str


class Resolve(msgspec.Struct, omit_defaults=True):
    """Arguments of `resolve`; it addresses an effect, not an actor."""

    effect: str
    status: str
    by: str
    reason: str
    outcome: msgspec.Raw = msgspec.Raw(b"")


async def _query(actors: Actors, tenant: str, address: str, a: Query) -> bytes:
    return await actors.query(tenant, address, a.question, bytes(a.body))


async def _view(actors: Actors, tenant: str, address: str, a: View) -> bytes:
    return _encode(await actors.view(tenant, address, a.at))


async def _park(actors: Actors, tenant: str, address: str, a: Park) -> bytes:
    return encode_answer(await actors.park(tenant, address, a.by, a.reason))


async def _resume(actors: Actors, tenant: str, address: str, a: Resume) -> bytes:
    return encode_answer(await actors.resume(tenant, address, a.by, a.reason, a.skip))


async def _fork(actors: Actors, tenant: str, address: str, a: Fork) -> bytes:
    return encode_answer(await actors.fork(tenant, a.source, a.version, address, a.by))


async def _resolve(actors: Actors, tenant: str, address: str, a: Resolve) -> bytes:
    outcome = bytes(a.outcome) or None
    return encode_answer(await actors.resolve(tenant, a.effect, a.status, outcome, a.by, a.reason))


OPERATIONS: Mapping[str, tuple[type[Any], Callable[[Actors, str, str, Any], Awaitable[bytes]]]] = {
    "query": (Query, _query),
    "view": (View, _view),
    "park": (Park, _park),
    "resume": (Resume, _resume),
    "fork": (Fork, _fork),
    "resolve": (Resolve, _resolve),
}


READS: Final = frozenset(("query", "view"))
"""What clients may ask for; the others are for hosts alone."""


async def perform(actors: Actors, tenant: str, address: str, op: str, arguments: bytes) -> bytes:
    """Perform an operation here; JSON in, JSON out. Raises UnknownType, InvalidData, and what the kernel raises."""
    found = OPERATIONS.get(op)
    if found is None:
        raise UnknownType(f"there is no operation {op!r}", hint=f"header {OP}: {', '.join(OPERATIONS)}")
    try:
        decoded = msgspec.json.decode(arguments, type=found[0])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidData(f"the arguments of {op} do not fit: {error}") from None
    return await found[1](actors, tenant, address, decoded)
