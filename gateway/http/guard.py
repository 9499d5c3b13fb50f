"""Who is asking, and may they: tokens, and the protection of doors without tokens against the browser next door."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from events.errors import BusUnavailable, Corrupt, Forbidden, StoreUnavailable, ThespisError, Unauthenticated
from events.tokens import Token, TokenStore
from gateway.http.buckets import Buckets
from gateway.settings import Settings, is_loopback
from gateway.tokens import ANONYMOUS, LOCAL, PREFIX, SCOPES, Principal, hash_of, now, principal, verify

TOKENLESS: Final = web.RequestKey("tokenless", bool)
"""Its `Authorization` was let be: who came is the tokenless user."""

_PROXIES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")


_INNER = (StoreUnavailable, BusUnavailable, Corrupt)


def outward(error: ThespisError, who: Principal | None) -> ThespisError:
    """The error without what it tells of the servers behind this door, unless an operator asks."""
    if isinstance(error, _INNER) and (who is None or not who.allows("admin")):
        return type(error)(retry_after=error.retry_after)
    return error


class Guard:
    """Checks tokens and remembers those it checked for `settings.token_cache` seconds."""

    def __init__(self, tokens: TokenStore, settings: Settings) -> None:
        self._tokens = tokens
        self._settings = settings
        self._cache: OrderedDict[bytes, tuple[Token, float]] = OrderedDict()
        self._denials = Buckets(settings.denials, 4 * settings.denials)
        self._rates = Buckets(settings.rate, settings.burst)
        self._hosts = {name.strip().lower() for name in settings.allowed_hosts.split(",") if name.strip()}
        self._local = Principal(f"user:{LOCAL}", settings.tenant, frozenset(SCOPES))

    async def enter(self, request: web.Request, scope: str, *, any_key: bool = False) -> Principal:
        """Who is asking. Raises Unauthenticated, Forbidden, RateLimited, StoreUnavailable.

        With `any_key`, a door that needs no token takes a bearer that is none of ours for none at all.
        """
        header = request.headers.get("Authorization")
        if any_key and header is not None and self._settings.tokenless and _is_foreign(header):
            header = None
            request[TOKENLESS] = True
        if header is not None:
            who = await self._by_token(request, header)
        elif self._settings.tokenless:
            self._check_local(request)
            who = self._local
        elif scope:
            raise Unauthenticated("this door asks for a token")
        else:
            who = Principal(f"user:{ANONYMOUS}", self._settings.tenant, frozenset())
        if not who.allows(scope):
            raise Forbidden(f"the token of {who.name} lacks the scope {scope}", hint=f"{scope}: {SCOPES[scope]}")
        self.pay(who, 1)
        return who

    def pay(self, who: Principal, cost: float) -> None:
        """Count requests against the rate of a principal. Raises RateLimited."""
        self._rates.take(f"{who.tenant} {who.name}", cost)

    async def still(self, request: web.Request, scope: str) -> bool:
        """Whether someone who entered long ago may still stay."""
        header = request.headers.get("Authorization")
        if header is None or request.get(TOKENLESS):
            return True
        try:
            return (await self._by_token(request, header)).allows(scope)
        except Unauthenticated:
            return False

    async def _by_token(self, request: web.Request, header: str) -> Principal:
        kind, _, text = header.partition(" ")
        if kind.lower() != "bearer":
            raise Unauthenticated("only bearer tokens are understood", hint="send `Authorization: Bearer ths_…`")
        text = text.strip()
        key = hash_of(text)
        found = self._cache.get(key)
        if found is not None and found[1] > time.monotonic():
            token = found[0]
            if token.expires_at is None or token.expires_at > now():
                return principal(token)
        self._cache.pop(key, None)
        peer = request.remote or ""
        self._denials.check(peer)
        try:
            token = await verify(self._tokens, text)
        except Unauthenticated:
            self._denials.take(peer)
            raise
        self._cache[key] = (token, time.monotonic() + self._settings.token_cache)
        if len(self._cache) > 10_000:
            self._cache.popitem(last=False)
        return principal(token)

    def _check_local(self, request: web.Request) -> None:
        """A page of another site must not use a loopback door through the browser of someone on this machine."""
        host = request.headers.get("Host", "")
        if not self._is_ours(_name(host)):
            raise Forbidden(
                f"host {host[:80]!r} is not this machine",
                hint="without a token only localhost is served; set THESPIS_ALLOWED_HOSTS for other names",
            )
        origin = request.headers.get("Origin")
        if origin is not None and (urlsplit(origin).netloc.lower() != host.lower() or origin == "null"):
            raise Forbidden(f"origin {origin[:80]!r} is another site", hint="use a token from there")
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise Forbidden("the request comes from another site", hint="use a token from there")
        if request.remote is not None and not is_loopback(request.remote):
            raise Unauthenticated("only this machine is served without a token")
        for name in _PROXIES:
            if name in request.headers:
                raise Unauthenticated(
                    f"header {name} says that a proxy forwards to this door: it asks for a token then",
                    hint="the proxy must pass `Authorization: Bearer TOKEN` on",
                )

    def _is_ours(self, name: str) -> bool:
        return name in self._hosts or is_loopback(name)


def _is_foreign(header: str) -> bool:
    """Whether it bears a key, but not one that was made here."""
    kind, _, text = header.partition(" ")
    return kind.lower() == "bearer" and not text.strip().startswith(PREFIX)


def _name(host: str) -> str:
    """The host name of a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")
