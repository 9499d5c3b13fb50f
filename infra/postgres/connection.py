"""Connections that come back by themselves: one `Link` for the writer, a few for the readers."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final, Protocol, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

import asyncpg

from events.errors import StoreUnavailable
from infra.postgres.errors import FAILURES, is_broken, translated

T = TypeVar("T")


class Connection(Protocol):
    """The part of the driver's connection that is used here, with types."""

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        """All rows."""
        ...

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """The first row, or None."""
        ...

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        ...

    async def execute(self, query: str, *args: Any) -> str:
        """The command's tag. Without arguments the query may hold several statements."""
        ...

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[Any]], columns: Sequence[str], schema_name: str
    ) -> str:
        """COPY FROM STDIN in the binary format."""
        ...

    async def copy_to_table(
        self,
        table_name: str,
        *,
        source: AsyncIterable[bytes] | bytes,
        columns: Sequence[str],
        schema_name: str,
        format: str,
    ) -> str:
        """COPY FROM STDIN of bytes that are in that format already."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """BEGIN … COMMIT, or ROLLBACK after an error."""
        ...

    def is_closed(self) -> bool:
        """Whether it is known to be closed."""
        ...

    def terminate(self) -> None:
        """Close at once, without a word to the server."""
        ...

    async def close(self, *, timeout: float) -> None:
        """Close in order."""
        ...


async def connect(dsn: str, name: str, timeout: float | None = None) -> Connection:
    """A new connection. A command that gets no answer for `timeout` seconds fails. Raises what the driver raises."""
    driver: Any = asyncpg  # which has no types
    connection = await driver.connect(
        dsn,
        timeout=CONNECT_TIMEOUT,
        command_timeout=timeout,
        max_cached_statement_lifetime=0,
        server_settings={"application_name": f"thespis {name}"},
    )
    _keep_alive(connection._transport.get_extra_info("socket").fileno())
    return connection


def _keep_alive(descriptor: int) -> None:
    """Have the kernel ask whether the other machine is still there: it may be gone without having said so."""
    with socket.socket(fileno=os.dup(descriptor)) as same:
        if same.family == socket.AF_UNIX:
            return
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            if (option := getattr(socket, name, None)) is not None:
                same.setsockopt(socket.IPPROTO_TCP, option, value)


_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 11_000}
"""Seconds until it is asked, between questions, how many; milliseconds until what was sent must have arrived."""
CONNECT_TIMEOUT: Final = 10
"""Seconds."""
GRACE: Final = 2.0
"""Seconds that the server may be late to say that a transaction took too long."""
OLDEST: Final = 150000
"""The oldest server version supported (PostgreSQL 15)."""

_SETTINGS = """
select set_config(name, value, false) from (values
  ('jit', 'off'),
  ('enable_seqscan', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'),
  ('plan_cache_mode', 'force_generic_plan'),
  ('search_path', 'thespis, pg_temp'),
  ('default_transaction_isolation', 'read committed'),
  ('idle_in_transaction_session_timeout', $2),
  ('transaction_timeout', $1)) s(name, value)
 where name in (select name from pg_settings) or name = 'search_path'
union all
select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') in ('off', 'local')
"""
# Plans are made once per connection, perhaps while a table is empty: only index plans stay right as it grows.


def place(dsn: str) -> str:
    """Which server and database a DSN means, without user and password."""
    try:
        parts = urlsplit(dsn)
        if "," in parts.netloc:
            return parts.netloc.rpartition("@")[2] + parts.path
        host = parts.hostname or next(iter(parse_qs(parts.query).get("host", ())), "localhost")
        return f"{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return "DATABASE_URL"


class Link:
    """One connection, opened when first needed and again after it broke. One user at a time.

    `timeout` bounds every transaction on it and `idle` the pauses within one, in seconds: the server ends what takes
    longer. `patience` is how long an answer may take; a command that gets none is cancelled. `ahead` is how many bytes
    the kernel may hold that the server has not read yet, where that is a Unix socket and as far as it is allowed.
    """

    def __init__(
        self,
        dsn: str,
        name: str,
        timeout: float,
        *,
        idle: float | None = None,
        patience: float | None = None,
        ahead: int = 0,
    ) -> None:
        self.dsn = dsn
        self.place = place(dsn)
        self._name = name
        self._timeout = timeout
        self._idle = timeout if idle is None else idle
        self._patience = patience
        self._ahead = ahead
        self._connection: Connection | None = None

    async def get(self) -> Connection:
        """The open connection. Raises StoreUnavailable."""
        connection = self._connection
        if connection is not None and not connection.is_closed():
            return connection
        ready = False
        try:
            self._connection = connection = await connect(self.dsn, self._name, self._patience)
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await connection.fetch(_SETTINGS, _milliseconds(self._timeout), _milliseconds(self._idle))
            if self._ahead:
                _hold(connection, self._ahead)
            ready = True
        except FAILURES as error:
            raise translated(error, self.place) from error
        finally:
            if not ready:  # cancelled half-way, too: nobody may be given a connection without its settings
                self.drop()
        return connection

    @property
    def is_open(self) -> bool:
        """Whether it looks open; the other side may be gone all the same."""
        return self._connection is not None and not self._connection.is_closed()

    def drop(self) -> None:
        """Throw the connection away: it broke, or hangs."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Close in order, or by force when that takes long."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*FAILURES):
                await connection.close(timeout=2.0)


def _hold(connection: Connection, size: int) -> None:
    """Let the kernel hold more than the 200 kB it has for a Unix socket; TCP sees to that itself."""
    sock: Any = cast("Any", connection)._transport.get_extra_info("socket")  # the driver has no other way to it
    if sock.family == socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def _milliseconds(seconds: float) -> str:
    return f"{int(seconds * 1000)}ms"


class Links:
    """A few connections for readers: the one used last is used first, at most `size` at a time."""

    def __init__(self, dsn: str, name: str, size: int, timeout: float) -> None:
        self.place = place(dsn)
        self._free = [Link(dsn, name, timeout, patience=timeout + GRACE) for _ in range(size)]
        self._all = list(self._free)
        self._waiting: deque[asyncio.Future[Link]] = deque()
        self._closed = False

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run reading (or repeatable) work on a connection; once more on a new one if the old one turns out dead."""
        async with self.take() as link:
            reused = link.is_open
            while True:
                try:
                    return await work(await link.get())
                except FAILURES as error:
                    broken = is_broken(error)
                    if broken:
                        link.drop()
                    if not broken or not reused:
                        raise translated(error, self.place) from error
                    reused = False

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[Link]:
        """Borrow a connection for a while."""
        link = await self._borrow()
        try:
            yield link
        except asyncio.CancelledError:
            # What was under way may still take effect: a BEGIN, say, and the next user would work, and wait, inside
            # a transaction that nobody ends.
            link.drop()
            raise
        finally:
            self._give_back(link)

    async def _borrow(self) -> Link:
        if self._closed:
            raise StoreUnavailable(f"the store is closed ({self.place})")
        if self._free:
            return self._free.pop()
        waiter: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._give_back(waiter.result())
            raise

    def _give_back(self, link: Link) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(link)
                return
        self._free.append(link)

    async def close(self) -> None:
        """Close all."""
        self._closed = True
        await asyncio.gather(*(link.close() for link in self._all))
