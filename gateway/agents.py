"""Agents and policies of this host: files read, checked against the models and tools known here, and published."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.agents.agent_state import AGENT_START, AgentChecked, StartAgent
from actors.agents.messages import PublishAgent
from actors.core.kind import Attempt, EffectKind
from actors.tools.messages import CurrentPolicy, PublishPolicy
from actors.tools.tool import Tool
from events import ids
from events.cloudevents import digest
from events.envelope import Answer, Message
from events.errors import ThespisError, Unavailable
from events.models import ToolSpec
from gateway.definitions import BY, PATIENCE, Broken, described
from gateway.problems import NotValid
from gateway.tokens import now

if TYPE_CHECKING:
    from actors.agents.definition.compile import CompiledAgent, Known
    from actors.workflows.definition import Problem

log = logging.getLogger("thespis.agents")

SPELLED: Final = ("mistral", "openai", "scripted", "recorded")
"""Providers that another host may have: naming one is no mistake."""

Ask = Callable[[Message], Awaitable[Answer]]
Rates = Callable[[str], "tuple[str, str] | None"]
"""Dollars per million tokens (input, output) of `provider:model`; None when nobody knows."""

_encode = msgspec.json.Encoder().encode


class Agents:
    """Checks definitions of agents and publishes those of workspaces.

    `tools` are those of this host, `providers` the names of who has models here, `guards` the rules that may be named.
    `broken` are the files of workspaces that are not served, with everything that is wrong.
    """

    def __init__(
        self,
        tools: Iterable[Tool] = (),
        providers: Iterable[str] = (),
        *,
        rates: Rates | None = None,
        guards: Collection[str] | None = None,
    ) -> None:
        self.tools: dict[str, Tool] = {tool.name: tool for tool in tools}
        self.providers = frozenset(providers)
        self.rates = rates
        self.guards = guards
        self.broken: list[Broken] = []

    def learn(self, tools: Iterable[Tool]) -> None:
        """There are more tools, or others of the same names: those of a server that was asked."""
        self.tools |= {tool.name: tool for tool in tools}

    @property
    def known(self) -> Known:
        """What definitions may name."""
        from actors.agents.definition.compile import Known

        specs = {name: spec_of(tool) for name, tool in self.tools.items()}
        roles = {name: tool.definition.roles for name, tool in self.tools.items()}
        return Known(specs, self.providers, SPELLED, self.guards, roles=roles, rates=self.rates)

    def compile(self, text: str, file: str) -> CompiledAgent:
        """A definition, checked and resolved. Raises DefinitionInvalid with all that is wrong."""
        from actors.agents.definition.compile import compile_agent
        from actors.agents.definition.document import read_agent

        return compile_agent(read_agent(text, file), self.known)

    async def check(self, text: str, file: str) -> CompiledAgent:
        """`compile`, beside the loop."""
        return await asyncio.to_thread(self.compile, text, file)

    async def publish(self, files: Sequence[Path], tenant: str, ask: Ask) -> None:
        """Publish the definitions of a workspace whose hash is not that of the newest version.

        What is wrong with one is logged and kept in `broken`; the others are published all the same.
        """
        self.broken = without(self.broken, files)
        for file in files:
            try:
                text = await asyncio.to_thread(file.read_text, "utf-8-sig")
                found = await self.check(text, str(file))
                said = await sent(f"agent/{found.definition.name}", publication(found, text, BY), tenant, ask)
            except Exception as error:
                self.broken.append(failed(file, error))
                continue
            if said.get("published"):
                log.info("published %s as agent %s, version %s", file, said["name"], said["version"])

    @property
    def effects(self) -> list[EffectKind]:
        """`agent-start`: whether models and tools of a version are here."""

        async def perform(request: StartAgent, _attempt: Attempt) -> AgentChecked:
            return AgentChecked(self.missing(request))

        return [
            EffectKind(AGENT_START, request=StartAgent, perform=perform, effect_class="pure", result=AgentChecked)
        ]  # fmt: skip

    def missing(self, request: StartAgent) -> list[str]:
        """What a version needs and is not here."""
        problems = [f"there is no tool {name!r} here" for name in request.tools if name not in self.tools]
        if not any(model.partition(":")[0] in self.providers for model in request.models):
            here = ", ".join(sorted(self.providers)) or "none"
            problems.append(f"none of its models ({', '.join(request.models)}) is available here; providers: {here}")
        return problems


class Policies:
    """Checks rules about tools and publishes those of workspaces."""

    def __init__(self) -> None:
        self.broken: list[Broken] = []

    async def check(self, text: str, file: str) -> tuple[msgspec.Raw, str]:
        """The rules in a text and their hash. Raises NotValid with all that is wrong."""
        from actors.workflows.definition import DefinitionInvalid

        try:
            _, rules, hash = await asyncio.to_thread(compiled_policy, text, file)
        except DefinitionInvalid as error:
            raise NotValid(error.message, {"problems": [described(problem) for problem in error.problems]}) from None
        return rules, hash

    async def publish(self, files: Sequence[Path], tenant: str, ask: Ask) -> None:
        """Publish the policies of a workspace; and the one that comes along, where nobody has published `default`."""
        from actors.tools.policy_default import DEFAULT

        self.broken = without(self.broken, files)
        for file in files:
            try:
                text = await asyncio.to_thread(file.read_text, "utf-8-sig")
                await self._publish(text, str(file), tenant, ask)
            except Exception as error:
                self.broken.append(failed(file, error))
        try:
            await sent("policy/default", CurrentPolicy(), tenant, ask)
        except Declined:
            await self._publish(DEFAULT, "the policy that comes along", tenant, ask)
        except Unavailable as error:
            log.error("whether there is a policy could not be asked: %s", error)

    async def _publish(self, text: str, file: str, tenant: str, ask: Ask) -> None:
        name, rules, hash = await asyncio.to_thread(compiled_policy, text, file)
        said = await sent(f"policy/{name}", PublishPolicy(rules, hash, text, BY), tenant, ask)
        if said.get("published"):
            log.info("published %s as policy %s, version %s", file, said["name"], said["version"])


class Declined(ThespisError):
    """An actor refused what was published."""


def spec_of(tool: Tool) -> ToolSpec:
    """A tool as a model sees it."""
    definition = tool.definition
    return ToolSpec(definition.name, definition.description, definition.parameters)


def rates_from(prices: Any) -> Rates:
    """Rates for estimates out of `infra.models.prices.Prices`."""
    from events.models import ModelRequest

    def rates(model: str) -> tuple[str, str] | None:
        provider, _, name = model.partition(":")
        row = prices.estimate(provider, name, ModelRequest([])).price
        return None if row is None or "output" not in row.rates else (row.rates["input"], row.rates["output"])

    return rates


def publication(found: CompiledAgent, text: str, by: str) -> PublishAgent:
    """The message that publishes a definition."""
    from actors.agents.definition.plan import encode_definition

    return PublishAgent(msgspec.Raw(encode_definition(found.definition)), found.hash, text, by)


def compiled_policy(text: str, file: str) -> tuple[str, msgspec.Raw, str]:
    """Name, rules and hash of a policy. Raises DefinitionInvalid."""
    from actors.tools.policy_file import read_policy
    from actors.tools.policy_rules import encode_policy, hash_of

    policy = read_policy(text, file)
    return policy.name, msgspec.Raw(encode_policy(policy)), hash_of(policy)


async def sent(to: str, data: msgspec.Struct, tenant: str, ask: Ask) -> dict[str, Any]:
    """What an actor replied; asked again while nobody can handle it: a host that just started owns nothing yet.

    Raises Declined, Unavailable.
    """
    id, body, name = ids.random_id(), _encode(data), type(data).__name__
    for attempt in range(PATIENCE):
        at = now()
        message = Message(
            id=id, type=name, to=to, tenant=tenant, body=body, sender=BY, time=at, causation="", correlation=id,
            schema=1, digest=digest(name, body), trace=None, deadline=at + 10_000_000,
        )  # fmt: skip
        try:
            answer = await ask(message)
        except Unavailable:
            if attempt == PATIENCE - 1:
                raise
            await asyncio.sleep(min(0.1 * 2**attempt, 5.0))
            continue
        said: dict[str, Any] = msgspec.json.decode(answer.data or b"{}")
        if answer.outcome == "refused":
            raise Declined(str(said.get("reason") or "refused"))
        return said
    raise AssertionError


def failed(file: Path, error: Exception) -> Broken:
    """A file that is not served, logged problem by problem."""
    from actors.workflows.definition import DefinitionInvalid

    problems: list[Any] = [{"file": str(file), "line": 1, "column": 1, "pointer": "", "message": str(error)}]
    if isinstance(error, DefinitionInvalid):
        problems = [described(problem) for problem in error.problems]
    for problem in problems:
        log.error("%s:%s:%s: %s", problem["file"], problem["line"], problem["column"], problem["message"])
    return Broken(str(file), problems)


def without(broken: Iterable[Broken], files: Iterable[Path]) -> list[Broken]:
    """Those that are still there, but for files that are to be read again."""
    again = {str(file) for file in files}
    return [one for one in broken if one.file not in again and Path(one.file).exists()]


def checker(agents: Agents | None = None) -> Callable[[bytes, str], list[Problem]]:
    """A function from an agent's file and its name to all that is wrong with it.

    Without `agents` the names of tools, models and guards are taken as they are.
    """
    from actors.agents.definition.compile import compile_agent
    from actors.agents.definition.document import read_agent
    from actors.workflows.definition import DefinitionInvalid

    def check(content: bytes, file: str) -> list[Problem]:
        try:
            compile_agent(read_agent(content, file), None if agents is None else agents.known)
        except DefinitionInvalid as error:
            return list(error.problems)
        return []

    return check


def agent_files(folder: Path, named: Sequence[str | Path] = ()) -> list[Path]:
    """The agents of a workspace: those it names, `*.agent.md`, and all `*.md` in `agents/` but a README."""
    found = [*(folder / name for name in named), *folder.glob("*.agent.md"), *(folder / "agents").glob("*.md")]
    return sorted({path.resolve() for path in found if path.name.lower() != "readme.md"})


def policy_files(folder: Path, named: Sequence[str | Path] = ()) -> list[Path]:
    """The policies of a workspace: those it names, `*.policy.yaml` (yml, json), and all in `policies/`."""
    found = [folder / name for name in named]
    for ending in (".yaml", ".yml", ".json"):
        found += [*folder.glob(f"*.policy{ending}"), *(folder / "policies").glob(f"*{ending}")]
    return sorted({path.resolve() for path in found})
