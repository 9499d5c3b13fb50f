"""Bearer tokens: what a token allows, how it is made, checked, listed and revoked. `events/tokens.py` is the port.

A token reads `ths_<id>_<secret>`. The id (public, in lists and logs) finds the row; of the whole token only its SHA-256
is kept. That is enough for a secret of 256 random bits: there is nothing to guess, so nothing to slow down.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from typing import Final

import msgspec

from events.address import DEFAULT_TENANT, check_tenant
from events.errors import Conflict, InvalidName, NotFound, Unauthenticated
from events.tokens import Token, TokenStore

SCOPES: Final = {
    "events:read": "list, tail and trace events",
    "events:write": "publish events",
    "actors:read": "see and query actors",
    "actors:write": "ask and tell actors",
    "projections:read": "query projections",
    "workflows:read": "see workflows, runs, assets and approvals",
    "workflows:write": "publish workflows",
    "runs:write": "start and operate runs",
    "agents:read": "see agents, their definitions, models and costs",
    "agents:write": "publish and operate agents",
    "conversations:read": "read and follow conversations",
    "conversations:write": "talk to agents",
    "tools:read": "see tools, calls of them and policies",
    "tools:write": "have tools called",
    "approvals:write": "approve and deny, where the token's name may",
    "metrics:read": "scrape /metrics",
    "admin": "everything, and also: park, resume, fork, rebuild, settle effects",
}
"""Every scope and what it allows."""

LOCAL, ANONYMOUS = "local", "anonymous"
"""Names of those who come without a token: on loopback, and where none is asked for. No token may have them."""

PREFIX: Final = "ths_"
"""What every token begins with."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_TOKEN = re.compile(PREFIX + r"([a-z2-7]{12})_[A-Za-z0-9_-]{43}")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


class Principal(msgspec.Struct, frozen=True):
    """Who is asking: recorded as the sender of messages, and bound to one tenant."""

    name: str
    tenant: str
    scopes: frozenset[str]
    token: str = ""
    """The id of the token, empty for the tokenless user of a loopback address."""

    def allows(self, scope: str) -> bool:
        """Whether this principal may do what needs `scope`; an empty scope is allowed to everybody."""
        return not scope or scope in self.scopes or "admin" in self.scopes


def now() -> int:
    """Microseconds since 1970 (UTC)."""
    return time.time_ns() // 1000


def hash_of(text: str) -> bytes:
    """What is kept of a token."""
    return sha256(text.encode()).digest()


def check_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes in order, or InvalidName for one that does not exist."""
    wanted = tuple(sorted(set(scopes)))
    for scope in wanted:
        if scope not in SCOPES:
            raise InvalidName(f"{scope!r} is not a scope", hint=f"scopes are {', '.join(SCOPES)}")
    if not wanted:
        raise InvalidName("a token needs at least one scope", hint=f"scopes are {', '.join(SCOPES)}")
    return wanted


async def create_token(
    store: TokenStore,
    name: str,
    scopes: Iterable[str],
    *,
    tenant: str = DEFAULT_TENANT,
    expires_in: float | None = None,
) -> tuple[str, Token]:
    """Make a token that lasts `expires_in` seconds (None: until revoked).

    Returns its text, which is shown once and kept nowhere, and its row. Raises InvalidName.
    """
    if not _NAME.fullmatch(name) or name in (LOCAL, ANONYMOUS):
        raise InvalidName(f"{name!r} is not a name for a token", hint="up to 64 of letters, digits, '.', '_', '@', '-'")
    if expires_in is not None and not 0 < expires_in <= 3.2e9:
        raise InvalidName(f"a token cannot last {expires_in} seconds", hint="give a positive time, or none")
    wanted = check_scopes(scopes)
    check_tenant(tenant)
    for _ in range(3):
        id = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        text = f"{PREFIX}{id}_{secrets.token_urlsafe(32)}"
        at = now()
        until = None if expires_in is None else at + int(expires_in * 1e6)
        token = Token(id, tenant, name, wanted, hash_of(text), at, until)
        try:
            await store.add(token)
        except Conflict:
            continue
        return text, token
    raise Conflict("three token ids in a row were taken", hint="is the source of randomness broken?")


async def list_tokens(store: TokenStore, tenant: str | None = None) -> list[Token]:
    """Every token, or those of one tenant, oldest first. Their hashes are no secret worth stealing, but stay inside."""
    return await store.all(tenant)


async def revoke_token(store: TokenStore, id: str) -> None:
    """Revoke for good. Doors notice within `Settings.token_cache` seconds. Raises NotFound."""
    if not await store.revoke(id, now()):
        raise NotFound(f"there is no token {id!r}", hint="`thespis tokens list` shows the ids")


def parse(text: str) -> str:
    """The id inside a token's text. Raises Unauthenticated without saying more than that it is no token."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise Unauthenticated("this is not a token", hint="a token reads ths_…; make one with `thespis tokens create`")
    return match.group(1)


async def verify(store: TokenStore, text: str) -> Token:
    """The row of a token that is valid now. Raises Unauthenticated; unknown, wrong and revoked sound the same."""
    token = await store.get(parse(text))
    same = compare_digest(token.hash if token else bytes(32), hash_of(text))
    if token is None or not same or token.revoked_at is not None:
        raise Unauthenticated("the token is not valid")
    if token.expires_at is not None and token.expires_at <= now():
        raise Unauthenticated("the token has expired", hint="make a new one with `thespis tokens create`")
    return token


def principal(token: Token) -> Principal:
    """Who a valid token speaks for."""
    return Principal(f"user:{token.name}", token.tenant, frozenset(token.scopes), token.id)
