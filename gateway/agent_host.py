"""Everything a host needs so that agents answer, put together: models, tools, guards, what publishes definitions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from actors.core.kind import EffectKind, Plugin
from actors.tools.guards import DETECTORS
from actors.tools.tool import Tool
from events.envelope import Answer, Message
from events.errors import ThespisError
from gateway.agent_tools import host_tools
from gateway.agents import Agents, Policies, rates_from, sent
from gateway.workflow_tools import workflow_tools
from infra.mcp.client import McpServers
from infra.models.calling import Caller
from infra.models.effects import model_effects
from infra.models.guarding import guard_effects
from infra.models.providers import providers_from_environment
from infra.models.showing import shown
from infra.nats.client import Client
from infra.nats.wire import Wire
from infra.sandbox.sandbox import Sandbox
from infra.tools.effects import seen, tool_effects
from infra.tools.performing import Tools

log = logging.getLogger("thespis.agents")

Ask = Callable[[Message], Awaitable[Answer]]


class HostAgents:
    """Give `effects` to the host's plugin; `publish` once the host serves. Made by `host_agents`.

    `agents` and `policies` check what is published through the door.
    """

    def __init__(self, plugin: Plugin, tools: Sequence[Tool], bus: Wire, environment: Mapping[str, str]) -> None:
        self._plugin = plugin
        self.providers = [*providers_from_environment(environment), *plugin.models]
        self.tools = Tools(tools)
        caller = Caller(self.providers)
        self.prices = caller.prices
        names = [provider.name for provider in self.providers]
        rates = rates_from(caller.prices)
        self.agents = Agents(self.tools.by_name.values(), names, rates=rates, guards=DETECTORS)
        self.policies = Policies()
        self.effects: list[EffectKind] = [
            *model_effects(caller, shown(bus)), *guard_effects(self.providers), *tool_effects(self.tools),
            *self.agents.effects,
        ]  # fmt: skip
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: tuple[str, Ask] | None = None

    def changed(self, server: str, tools: Sequence[Tool]) -> None:
        """A server's tools are these now: what is defined otherwise waits for a person."""
        self.tools.learn(tools)
        self.agents.learn(tools)
        if self._told is not None:
            task = asyncio.get_running_loop().create_task(self._tell(tools, *self._told))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def publish(self, tenant: str, client: Client, workflows: Sequence[str]) -> None:
        """Publish the policies of the workspaces, tell of the tools here, those of workflows too, then publish agents.

        Policies come first: a tool that is known can be called, and without a policy is denied.
        """
        ask = client.ask
        await self.policies.publish(self._plugin.policies, tenant, ask)
        self._told = tenant, ask
        found = await workflow_tools(workflows, client.query, tenant)
        self.tools.learn(found)
        self.agents.learn(found)
        await self._tell(self.tools.by_name.values(), tenant, ask)
        await self.agents.publish(self._plugin.agents, tenant, ask)

    async def _tell(self, tools: Iterable[Tool], tenant: str, ask: Ask) -> None:
        for to, told in seen(tools):
            try:
                await sent(to, told, tenant, ask)
            except ThespisError as error:
                log.error("%s: %s", to, error)

    async def close(self) -> None:
        """Let go of connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for provider in self.providers:
            await provider.close()


@asynccontextmanager
async def host_agents(
    plugin: Plugin, bus: Wire, environment: Mapping[str, str], data: Path | None
) -> AsyncGenerator[HostAgents]:
    """What a host needs, until the block is left. Raises BadDefinition."""
    async with AsyncExitStack() as stack:
        sandbox = Sandbox()
        tools = await host_tools(plugin.tools, plugin.agents, environment, data, sandbox)
        host = HostAgents(plugin, tools, bus, environment)
        stack.push_async_callback(host.close)
        connecting = McpServers(plugin.mcp, host.changed, environment=environment, sandbox=sandbox)
        servers = await stack.enter_async_context(connecting)
        found = servers.tools()
        host.tools.learn(found)
        host.agents.learn(found)
        yield host
