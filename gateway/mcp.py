"""`thespis mcp serve`: an MCP server over standard input and output whose host is a running instance."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import metadata
from typing import Any, Final, cast

import msgspec

from events import ids
from events.errors import InvalidData
from gateway.cli.find import Place
from gateway.cli.http import Api, path
from gateway.cli.retrying import retrying
from infra.mcp.server import (
    AgentOffer,
    CallOutcome,
    Offer,
    ToolOffer,
    TurnOutcome,
    mcp_server,
    serve_stdio,
)

ENDED: Final = frozenset(
    {"succeeded", "failed", "unknown", "refused", "denied", "expired", "cancelled", "completed", "replied", "ended",
     "interrupted", "waits"}
)  # fmt: skip
"""Statuses after which it is no use to wait: of calls and of turns."""
_PART: Final = 20.0
_PAGES: Final = 20


class HttpHost:
    """A host behind its HTTP interface. What is not over in `patience` seconds is told as it stands then.

    What a client of the protocol sends is written by its model, after whatever that has read: it is labelled untrusted,
    unless it is `trusted` like what a person types.
    """

    def __init__(self, api: Api, patience: float, *, trusted: bool = False) -> None:
        self._api = api
        self._patience = patience
        self._untrusted = not trusted

    async def tools(self) -> Sequence[ToolOffer]:
        """All tools. Raises ThespisError."""
        return [
            _made(
                {**each, "name": each.get("tool"), "parameters": each.get("definition", {}).get("parameters")},
                ToolOffer,
            )
            for each in await self._all("tools")
        ]

    async def agents(self) -> Sequence[AgentOffer]:
        """All agents. Raises ThespisError."""
        return [_made({"status": each.get("state"), **each}, AgentOffer) for each in await self._all("agents")]

    async def run(self, tool: str, arguments: Mapping[str, Any], key: str) -> CallOutcome:
        """A call of a tool, through every gate of the host. Raises ThespisError."""

        async def ask(wait: float) -> Any:
            asked = {"arguments": arguments, "wait": wait, "untrusted": self._untrusted}
            return await self._api.post(path("tools", tool, "run"), asked, key=key)

        found = await self._until_over(ask)
        # Of a call that is over the host says too which agreement it had waited for.
        return _made(found | ({"approval": ""} if found.get("status") in ENDED else {}), CallOutcome)

    async def say(self, agent: str, message: str, conversation: str, key: str) -> TurnOutcome:
        """A message in a conversation, and its answer. Raises ThespisError."""
        to = path("conversations", conversation or f"mcp-{key}", "messages")

        async def ask(wait: float) -> Any:
            asked = {"text": message, "agent": agent, "wait": wait, "untrusted": self._untrusted}
            return await self._api.post(to, asked, key=key)

        return _made(await self._until_over(ask), TurnOutcome)

    async def _until_over(self, ask: Callable[[float], Awaitable[Any]]) -> dict[str, Any]:
        """Ask again under the same key, which is the same request, as long as it is under way."""
        end = time.monotonic() + self._patience
        while True:
            part = max(0.0, min(_PART, end - time.monotonic()))
            found = await retrying(lambda part=part: ask(part))
            if not isinstance(found, dict):
                raise InvalidData("the host's answer is not an object")
            said = cast(dict[str, Any], found)
            if said.get("approval") or said.get("status") in ENDED or time.monotonic() >= end:
                return said

    async def _all(self, noun: str) -> list[Any]:
        found: list[Any] = []
        after: Any = None
        for _ in range(_PAGES):
            page = await self._api.get(path(noun), {"after": after})
            found += page.get(noun, [])
            after = page.get("next")
            if not after:
                break
        return found


def _made(found: Any, into: type[Any]) -> Any:
    given = {name: value for name, value in found.items() if value is not None} if isinstance(found, dict) else found  # pyright: ignore
    try:
        return msgspec.convert(given, into, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidData(f"the host's answer does not fit: {error}") from None


async def serve(
    place: Place,
    *,
    tools: Sequence[str] | None,
    agents: Sequence[str] | None,
    patience: float = 120.0,
    trusted: bool = False,
) -> None:
    """Offer these tools and agents of the instance (None: all) until the client goes away.

    Raises ThespisError when the instance does not answer at the beginning.
    """
    offer = Offer(None if tools is None else frozenset(tools), None if agents is None else frozenset(agents))
    async with Api(place) as api:
        host = HttpHost(api, patience, trusted=trusted)
        await host.tools()
        await serve_stdio(mcp_server(host, offer, version=_version(), key=ids.random_id))


def _version() -> str:
    try:
        return metadata.version("thespis")
    except metadata.PackageNotFoundError:
        return ""
