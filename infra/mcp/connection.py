"""A connection to one server, kept up, and honest about calls that were under way when it broke."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, cast

import anyio
import msgspec
from mcp import Client, MCPError, types
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter, ValidationError

from actors.tools.tool import ToolError
from events.errors import BadDefinition, ThespisError
from infra.mcp.config import McpServer, Redaction, looked_up
from infra.mcp.definitions import Foreign, foreign
from infra.mcp.http import BROKEN, NOT_SENT, REFUSED, http
from infra.mcp.starting import Child, Start
from infra.mcp.stdio import Ended, stdio

log = logging.getLogger("thespis.mcp")

PATIENCE: Final = 5.0
"""Seconds a call waits for a server that is being started again."""
_PAGES: Final = 64
_RESULT: Final[TypeAdapter[Any]] = TypeAdapter(types.CallToolResult | types.InputRequiredResult)
_CLOSED: Final = -32000
_TIMED_OUT: Final = -32001
_SESSION: Final = -32600


class Unsure(OSError):
    """A call was under way when the connection broke, and nobody knows what it did."""


class Pace(msgspec.Struct, frozen=True):
    """Seconds between attempts to start a server: the first, doubled up to the longest; forgotten after `steady`."""

    first: float = 0.25
    longest: float = 30.0
    steady: float = 30.0


class Connection:
    """One server. `begin` it and `end` it; `listing` are its tools by name, `left_out` those not taken and why, `level`
    that of the sandbox it is in.

    `changed` is called when the listing has become another.
    """

    def __init__(
        self,
        server: McpServer,
        changed: Callable[[], None],
        *,
        launch: Start,
        environment: Mapping[str, str] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.server = server
        self.listing: dict[str, Foreign] = {}
        self.left_out: dict[str, str] = {}
        self.why = "it has not been started"
        self.starts = 0
        self.level = ""
        self.redact = Redaction({}, {})
        self._changed = changed
        self._environment = environment
        self._launch = launch
        self._pace = pace or Pace()
        self._client: Client | None = None
        self._ended = Ended()
        self._ready = asyncio.Event()
        self._tried = asyncio.Event()
        self._look = asyncio.Event()
        self._listed = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether it can be called now."""
        return self._client is not None

    async def begin(self) -> None:
        """Start it; returns when it is ready, or when the first attempt has failed."""
        self._task = asyncio.create_task(self._keep_up(), name=f"mcp:{self.server.name}")
        await self._tried.wait()

    async def end(self) -> None:
        """End it, and the server if it is a child."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def call(
        self, name: str, arguments: dict[str, Any], *, digest: str, key: str, once: bool
    ) -> types.CallToolResult:
        """Call a tool whose definition still is the one of this digest.

        Raises ToolError when the call failed or did not begin, and, when `once` (it may not be repeated), Unsure when
        nobody knows what became of it.
        """
        client = await self._connected()
        if time.monotonic() - self._listed > self.server.fresh:
            await self._listing_again(client)
        found = self.listing.get(name)
        if found is None or found.digest != digest:
            raise ToolError(f"{self.server.name} defines {name} differently by now", code="changed")
        params = types.CallToolRequestParams(name=name, arguments=arguments, _meta={"thespis/key": key})  # pyright: ignore
        try:
            answer = await client.session.send_request(
                types.CallToolRequest(params=params), _RESULT, request_read_timeout_seconds=self.server.call_timeout
            )
        except MCPError as error:
            raise self._judged(error, once) from None
        except ValidationError:
            raise self._unclear("it answered with what is no result", once) from None
        except (RuntimeError, OSError, anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise self._unclear(f"the connection broke ({type(error).__name__})", once) from None
        if not isinstance(answer, types.CallToolResult):
            raise ToolError(f"{self.server.name} wants to be told more first, which is not supported", code="input")
        return answer

    def _judged(self, error: MCPError, once: bool) -> Exception:
        """What an error means for the call: that it failed, that it never began, or that nobody knows."""
        code, said = error.code, self.redact(str(error.message))[:1000]
        if code in (NOT_SENT, REFUSED) or (code == _SESSION and "Session terminated" in said):
            self._look.set()
            return ToolError(f"{self.server.name}: {said}", code="unavailable")
        if code == _TIMED_OUT:
            return self._unclear(f"no answer within {self.server.call_timeout:g} s", once)
        synthesized = self.server.url and code in (types.INTERNAL_ERROR, types.PARSE_ERROR)
        if code in (_CLOSED, BROKEN) or synthesized:
            self._look.set()
            return self._unclear(self._ended.why or said, once)
        return ToolError(f"{self.server.name}: {said}", code="tool")

    def _unclear(self, why: str, once: bool) -> Exception:
        text = f"{self.server.name}: {why}, while a call was under way"
        return Unsure(text) if once else ToolError(text, code="lost")

    async def _connected(self) -> Client:
        if self._ended.event.is_set():  # and whoever keeps it up has not come to it yet
            self._client = None
            self._ready.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._ready.wait()
        if self._client is None:
            raise ToolError(f"{self.server.name} is not connected: {self.why}", code="unavailable")
        return self._client

    async def _listing_again(self, client: Client) -> None:
        try:
            async with asyncio.timeout(self.server.start_timeout):
                await self._list(client)
        except (MCPError, ValidationError, OSError, RuntimeError, anyio.ClosedResourceError) as error:
            self._look.set()
            said = f"{self.server.name} does not say what its tools are: {type(error).__name__}"
            raise ToolError(said, code="unavailable") from None

    # -- keeping it up

    async def _keep_up(self) -> None:
        pause = self._pace.first
        while True:
            ended, begun = Ended(), time.monotonic()
            self._ended = ended
            try:
                await self._once(ended)
                ended.set("it ended")
            except TimeoutError as error:  # we ended it
                ended.why = self._reason(error)
            except Exception as error:
                ended.set(self._reason(error))
            finally:
                self._client = None
                self._ready.clear()
                self._tried.set()
            self.why = self.redact(": ".join([ended.why, *list(ended.lines)[-1:]]))
            log.warning("MCP server %s: %s", self.server.name, self.why)
            if time.monotonic() - begun > self._pace.steady:
                pause = self._pace.first
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._pace.longest)

    async def _once(self, ended: Ended) -> None:
        server = self.server
        references = {**server.env, **server.headers}
        values = looked_up(references, self._environment)
        self.redact = Redaction(references, values)
        self.starts += 1
        if server.command:
            start = partial(self._start, {name: values[name] for name in server.env})
            transport: Any = stdio(start, ended=ended, most=server.max_message)
        else:
            headers = {name: values[name] for name in server.headers}
            transport = http(server.url, headers, most=server.max_message, timeout=server.call_timeout + 5.0)
        self._look.clear()
        client = Client(
            transport, mode="legacy" if server.legacy else "auto", cache=None, message_handler=self._heard,
            client_info=types.Implementation(name="thespis", version="0.1.0"),
            read_timeout_seconds=server.start_timeout,
        )  # fmt: skip
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(server.start_timeout):
                await stack.enter_async_context(client)
                await self._list(client)
            self.why = ""
            self._client = client
            self._ready.set()
            self._tried.set()
            await self._attend(client, ended)

    async def _start(self, environment: Mapping[str, str]) -> Child:
        child = await self._launch(self.server, environment)
        self.level = child.level
        log.info("MCP server %s runs in the sandbox %s", self.server.name, child.level or "none")
        return child

    async def _attend(self, client: Client, ended: Ended) -> None:
        """While it lives: ask for the definitions again when something hints that they are others."""
        listening = asyncio.create_task(self._listen(client))
        try:
            while not ended.event.is_set():
                waits = [asyncio.create_task(event.wait()) for event in (ended.event, self._look)]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in waits:
                        task.cancel()
                if self._look.is_set() and not ended.event.is_set():
                    self._look.clear()
                    async with asyncio.timeout(self.server.start_timeout):
                        await self._list(client)
        finally:
            self.why = ended.why or "the connection broke"
            self._client = None
            self._ready.clear()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _heard(self, message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._look.set()

    async def _listen(self, client: Client) -> None:
        """Servers of 2026 tell changes to those who listen; where that breaks, it is begun again."""
        pause = self._pace.first
        while client.protocol_version in MODERN_PROTOCOL_VERSIONS:
            with contextlib.suppress(TimeoutError, RuntimeError):  # SubscriptionLost among them
                try:
                    async with client.listen(tools_list_changed=True) as subscription:
                        async for _ in subscription:
                            self._look.set()
                except MCPError as error:
                    if error.code != BROKEN:
                        return
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._pace.longest)
            self._look.set()

    async def _list(self, client: Client) -> None:
        found: dict[str, Foreign] = {}
        left: dict[str, str] = {}
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await client.list_tools(cursor=cursor, cache_mode="bypass")
            for tool in page.tools:
                self._take(tool, found, left)
            cursor = page.next_cursor
            if not cursor:
                break
        else:
            left["…"] = "the list of its tools does not end"
        before, self.listing, self.left_out = self.listing, found, left
        self._listed = time.monotonic()
        if before != found:
            self._changed()

    def _take(self, tool: types.Tool, found: dict[str, Foreign], left: dict[str, str]) -> None:
        server, name = self.server, tool.name[:100]
        if (server.include and name not in server.include) or name in server.exclude or len(left) > server.max_tools:
            return
        if len(found) >= server.max_tools:
            left[name] = f"there are more than {server.max_tools}"
        elif name in found:
            left[name] = "it is defined twice"
            del found[name]
        elif name not in left:
            try:
                found[name] = foreign(tool)
            except (BadDefinition, RecursionError) as error:
                left[name] = str(error) or "it is nested too deeply"

    def _reason(self, error: BaseException) -> str:
        while isinstance(error, BaseExceptionGroup):
            error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
        if isinstance(error, TimeoutError):
            return f"it was not ready within {self.server.start_timeout:g} s"
        if isinstance(error, ThespisError | MCPError | OSError):
            return f"it could not be started: {error}"[:500]
        return f"it could not be spoken to ({type(error).__name__})"
