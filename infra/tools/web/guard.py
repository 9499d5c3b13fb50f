"""The guard against requests to places within: judged is the address connected to, whatever a name said before."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Iterable, Sequence
from ipaddress import ip_address
from typing import Any, Final, Protocol

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from actors.tools.tool import ToolError
from infra.tools.web.addresses import PRIVATE, closed
from infra.tools.web.urls import Target, host_of

PORTS: Final = (80, 443)
"""Ports that are connected to; others only where they are permitted by `host:port`."""


class Blocked(ToolError):
    """The guard lets nothing go there."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="blocked")


class Unreachable(ToolError):
    """No connection came about."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="unreachable")


class Resolver(Protocol):
    """Finds the addresses of a name."""

    async def addresses(self, name: str, port: int) -> Sequence[str]:
        """All of them, IPv4 and IPv6. Raises OSError."""
        ...


class SystemResolver:
    """The resolver of this machine."""

    async def addresses(self, name: str, port: int) -> Sequence[str]:
        """Every address the system knows for a name. Raises OSError."""
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Permit(msgspec.Struct, frozen=True):
    """A `host:port` that may be private."""

    host: str
    port: int
    literal: bool


class Guard:
    """Says where connections may lead. `allow` are `host:port` (addresses of IPv6 in brackets) that may be private, and
    whose port is open; `ports` are open everywhere. Raises ToolError when `allow` cannot be read."""

    def __init__(
        self,
        allow: Iterable[str] = (),
        *,
        ports: Collection[int] = PORTS,
        resolver: Resolver | None = None,
        resolve_timeout: float = 5.0,
    ) -> None:
        self._permits = frozenset(_permit(each) for each in allow)
        self._ports = frozenset(ports)
        self._resolver = resolver or SystemResolver()
        self._resolve_timeout = resolve_timeout

    def may(self, host: str, port: int, literal: bool) -> Permit | None:
        """The permit of a host and port, if there is one. Raises Blocked for a port that is not open."""
        permit = Permit(host, port, literal)
        if permit in self._permits:
            return permit
        if port not in self._ports:
            raise Blocked(f"port {port} of {host} is not open to tools")
        return None

    def judge(self, address: str, host: str, permit: Permit | None) -> None:
        """Raises Blocked when `host` may not be reached at this address."""
        why = closed(address.partition("%")[0])
        if not why:
            return
        if permit is not None and (permit.literal or why in PRIVATE):
            return
        raise Blocked(f"{host} leads to {address}, which is {why}" if host != address else f"{address} is {why}")

    async def resolve(self, host: str, port: int, literal: bool) -> list[str]:
        """The addresses of a host, every one of them judged: one bad answer among good ones blocks all.

        Raises Blocked, Unreachable.
        """
        permit = self.may(host, port, literal)
        found: Sequence[str] = [host]
        if not literal:
            try:
                async with asyncio.timeout(self._resolve_timeout):
                    found = await self._resolver.addresses(host, port)
            except TimeoutError:
                raise Unreachable(f"the addresses of {host} were not found in time") from None
            except (OSError, UnicodeError) as error:
                raise Unreachable(f"{host} has no address: {error}") from None
        if not found:
            raise Unreachable(f"{host} has no address")
        for address in found:
            self.judge(address, host, permit)
        return list(found)

    async def open(
        self, host: str, port: int, literal: bool, *, timeout: float = 10.0, limit: int = 1 << 16
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a host, by one of its judged addresses. Raises Blocked, Unreachable."""
        why = ""
        for address in await self.resolve(host, port, literal):
            try:
                async with asyncio.timeout(timeout):
                    reader, writer = await asyncio.open_connection(address, port, limit=limit)
            except (OSError, TimeoutError) as error:
                why = str(error) or type(error).__name__
                continue
            try:
                self.verify(writer.get_extra_info("peername"), host, self.may(host, port, literal))
            except Blocked:
                writer.transport.abort()
                raise
            return reader, writer
        raise Unreachable(f"{host}:{port} cannot be reached: {why}")

    def verify(self, peer: Any, host: str, permit: Permit | None) -> None:
        """Judge where a socket is connected to, by what the kernel says. Raises Blocked."""
        if not isinstance(peer, tuple) or not peer:
            raise Blocked(f"it is not known where {host} was reached")
        self.judge(str(peer[0]), host, permit)  # pyright: ignore[reportUnknownArgumentType]

    def connector(self, target: Target) -> tuple[aiohttp.TCPConnector, aiohttp.TraceConfig]:
        """A connector to one target, and the trace that verifies each socket once it is connected and before anything
        is sent. Blocked and Unreachable come out of the request."""
        permit = self.may(target.host, target.port, target.literal)
        sockets: list[socket.socket] = []

        def create(found: Any) -> socket.socket:
            family, kind, protocol, _, address = found
            self.judge(str(address[0]), target.host, permit)
            made = socket.socket(family, kind, protocol)
            made.setblocking(False)
            sockets.append(made)
            return made

        async def connected(*_: object) -> None:
            peers = [peer for made in sockets if (peer := _peer(made)) is not None]
            for peer in peers or [None]:
                self.verify(peer, target.host, permit)

        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(connected)
        connector = aiohttp.TCPConnector(
            resolver=_Judged(self, target), use_dns_cache=False, force_close=True, limit=1, socket_factory=create
        )
        return connector, trace


class _Judged(AbstractResolver):
    """What aiohttp asks for addresses: it is given judged ones."""

    def __init__(self, guard: Guard, target: Target) -> None:
        self._guard = guard
        self._target = target

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of the target and of nothing else."""
        if host != self._target.host:
            raise Blocked(f"{host} is not what was asked for")
        return [
            ResolveResult(
                hostname=host, host=address, port=port, proto=0, flags=socket.AI_NUMERICHOST,
                family=socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6,
            )
            for address in await self._guard.resolve(host, port, False)
        ]  # fmt: skip

    async def close(self) -> None:
        """Nothing is held."""


def _peer(made: socket.socket) -> Any:
    """Where a socket is connected to; None when it is not, or closed."""
    try:
        return made.getpeername()
    except OSError:
        return None


def _permit(text: str) -> Permit:
    host, literal = host_of(text)
    port = text.rpartition(":")[2]
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ToolError(f"{text!r} is not host:port", code="bad-url")
    return Permit(host, int(port), literal)
