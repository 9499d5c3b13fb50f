"""A host with agents, and what tests of the door do with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import aiohttp
import msgspec

from actors.agents.definition.plan import AgentDefinition, encode_definition, hash_of
from actors.tools.policy_file import read_policy
from actors.tools.policy_rules import encode_policy
from actors.tools.policy_rules import hash_of as policy_hash
from events.models import ToolSpec
from gateway.demo.host import HostProcess
from infra.tools.effects import seen
from tests.agent_door.place.workspace import NOTE
from tests.servers import Postgres
from tests.workflows.world import Door
from tests.workflows.world import host as plain_host

PLACE = Path(__file__).parent / "place"

POLICY = """name: default
grants: ["desk.*"]
rules:
  - {id: people, decision: allow, when: {agents: "-"}}
  - {id: writing, decision: ask, when: {risk: write-reversible}, why: it is written down}
"""


@contextmanager
def host(postgres: Postgres, workplace: Path, **settings: str) -> Generator[HostProcess]:
    """A host that serves; what its tool notes is in `notes`."""
    notes = Path(mkdtemp(dir=workplace)) / "notes.txt"
    notes.touch()
    with plain_host(postgres, workplace, PLACE, THESPIS_TEST_NOTES=str(notes), **settings) as process:
        yield process


def ada(**changes: Any) -> AgentDefinition:
    """The agent of these tests."""
    spec = ToolSpec("desk.note", "Note something.", NOTE.definition.parameters)
    plain: dict[str, Any] = {"name": "ada", "instructions": "You are Ada.", "models": ["birds:parrot"]}
    return msgspec.convert({**plain, "tool_specs": [spec], **changes}, AgentDefinition)


class Site(Door):
    """HTTP to the host."""

    async def ask(self, address: str, message: str, data: Any) -> Any:
        """The reply of an actor."""
        body = {"message": message, "data": msgspec.to_builtins(data)}
        return (await self.post(f"/v1/actors/{address}/ask", body))["reply"]

    async def publish_agent(self, definition: AgentDefinition) -> None:
        """As if its file had been read."""
        raw = msgspec.json.decode(encode_definition(definition))
        request = {"definition": raw, "hash": hash_of(definition), "source": "---\nname: x\n---\n"}
        await self.ask(f"agent/{definition.name}", "PublishAgent", request)
        await self.until(f"/v1/agents/{definition.name}", holds=lambda found: found["state"] in ("ready", "busy"))

    async def furnish(self) -> None:
        """Agents, a tool and the rules about it."""
        for address, data in seen([NOTE]):
            await self.ask(address, "SeeTool", data)
        policy = read_policy(POLICY)
        rules = msgspec.json.decode(encode_policy(policy))
        await self.ask(
            "policy/default", "PublishPolicy", {"rules": rules, "hash": policy_hash(policy), "source": POLICY}
        )
        await self.publish_agent(ada())
        await self.publish_agent(ada(name="echo", models=["scripted:echo"], tool_specs=[]))

    async def begin(self, agent: str = "ada", **more: Any) -> str:
        """A new conversation."""
        return (await self.post("/v1/conversations", {"agent": agent, **more}))["conversation"]

    async def say(self, conversation: str, text: str, status: int = 200, **more: Any) -> Any:
        """Say something and wait for the answer."""
        body = {"text": text, "wait": 30, **more}
        return await self.post(f"/v1/conversations/{conversation}/messages", body, status=status)

    @asynccontextmanager
    async def stream(self, conversation: str, after: int | None = 0, last: int | None = None) -> AsyncGenerator[Frames]:
        """Follow a conversation."""
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        params = {} if after is None else {"after": str(after)}
        url = f"{self.url}/v1/conversations/{conversation}/stream"
        async with self.session.get(url, headers=headers, params=params) as response:
            assert response.status == 200, await response.read()
            yield Frames(response)


class Frames:
    """Server-sent events of a conversation."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.comments: list[str] = []

    async def next(self) -> tuple[str, str, Any]:
        """(id, name, data) of the next one; names are "" at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(30):
            async for raw in self._response.content:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments.append(line)
                elif line:
                    name, _, value = line.partition(":")
                    fields[name] = value.strip()
                elif "data" in fields:
                    return fields.get("id", ""), fields["event"], msgspec.json.decode(fields["data"])
        return "", "", None

    async def until(self, name: str, **wanted: Any) -> list[tuple[str, str, Any]]:
        """Frames up to one of that name whose data has these values."""
        found: list[tuple[str, str, Any]] = []
        while True:
            frame = await self.next()
            found.append(frame)
            assert frame[1], f"the stream ended before {name}: {[f[1] for f in found]}"
            data = frame[2].get("data", frame[2]) if frame[1] != "chunk" else frame[2]
            if frame[1] == name and all(data.get(key) == value for key, value in wanted.items()):
                return found


@asynccontextmanager
async def door(url: str, token: str = "") -> AsyncGenerator[Site]:
    """HTTP to the host, with a token if given."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Site(url, session)
