"""The tools of MCP servers as tools of agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from actors.tools.tool import Tool, ToolCallInfo, ToolError, ToolResult
from events.errors import BadDefinition
from infra.mcp.config import UNCONFINED, McpServer, ToolRule, checked
from infra.mcp.connection import Connection, Pace
from infra.mcp.definitions import Foreign, risk_of, roles_of
from infra.mcp.results import LABEL, result_of
from infra.mcp.starting import Start, starting
from infra.sandbox.levels import satisfies
from infra.sandbox.sandbox import Sandbox

Changed = Callable[[str, list[Tool]], None]
"""Called with the name of a server and its tools whenever they became others."""


class Standing(msgspec.Struct, frozen=True):
    """How a server does: `why` it is not ready, how often it was started, which tools were not taken and why, and the
    level of the sandbox its process is in ("" for none, and for one elsewhere)."""

    name: str
    ready: bool
    why: str
    starts: int
    tools: list[str]
    left_out: dict[str, str]
    level: str = ""


class McpServers:
    """Connections to all configured servers, kept up. An async context manager: inside it `tools()` has what there is.

    A server that does not start holds nobody up: its tools come when it does, by `changed`. `environment` is what
    `env:NAME` is looked up in (this process's), `sandbox` where commands are started (one of its own, if not given),
    `launch` how, if otherwise. Raises BadDefinition.
    """

    def __init__(
        self,
        servers: Iterable[McpServer],
        changed: Changed | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        sandbox: Sandbox | None = None,
        launch: Start | None = None,
        pace: Pace | None = None,
    ) -> None:
        given = [checked(server) for server in servers]
        if len({server.name for server in given}) != len(given):
            raise BadDefinition("two MCP servers have the same name")
        self._changed = changed
        self._sandbox = sandbox or Sandbox()
        self._connections = {
            server.name: Connection(
                server,
                self._teller(server.name),
                environment=environment,
                launch=launch or starting(self._sandbox),
                pace=pace,
            )
            for server in given
        }

    async def __aenter__(self) -> McpServers:
        if any(each.server.command and each.server.sandbox != UNCONFINED for each in self._connections.values()):
            await self._sandbox.ready()  # before the time of any of them begins
        await asyncio.gather(*(each.begin() for each in self._connections.values()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(each.end() for each in self._connections.values()))

    def tools(self, server: str = "") -> list[Tool]:
        """The tools of all servers, or of one, as they were last defined."""
        chosen = [self._connections[server]] if server else list(self._connections.values())
        return [tool_of(each, found) for each in chosen for found in each.listing.values()]

    def standing(self) -> list[Standing]:
        """How each server does."""
        return [
            Standing(name, each.ready, each.why, each.starts, list(each.listing), dict(each.left_out), each.level)
            for name, each in self._connections.items()
        ]

    def _teller(self, name: str) -> Callable[[], None]:
        def tell() -> None:
            if self._changed is not None:
                self._changed(name, self.tools(name))

        return tell


def tool_of(connection: Connection, found: Foreign) -> Tool:
    """A tool that calls the server, as long as the server still defines it in this way."""
    server = connection.server
    rule = server.tools.get(found.name, ToolRule())
    effect_class = rule.effect_class or server.effect_class

    async def run(input: Any, call: ToolCallInfo) -> ToolResult:
        if server.command and connection.ready and not satisfies(connection.level, call.sandbox):
            reached = f"{server.name} runs in the sandbox {connection.level or 'none'}"
            raise ToolError(f"{reached}; {call.sandbox} is needed", code="sandbox")
        answer = await connection.call(
            found.name, dict(input), digest=found.digest, key=call.key, once=effect_class == "irreversible"
        )
        return result_of(answer, most=server.max_result, redact=connection.redact, sandbox=connection.level)

    return Tool(
        f"{server.name}.{found.name}", run, description=found.description or f"A tool of the server {server.name}.",
        parameters=found.parameters, risk=risk_of(server, rule, found.annotations), effect_class=effect_class,
        roles=roles_of(rule, found.parameters), result=LABEL, sandbox=rule.sandbox,
        timeout=rule.timeout or server.call_timeout + 10.0, at_once=rule.at_once or 8, per_minute=rule.per_minute,
        via="mcp", annotations={**found.annotations, "definition": found.digest}, origin=f"mcp:{server.name}", code="",
    )  # fmt: skip
