"""/v1/agents: definitions, checked here and published at their actor; and the life of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from actors.agents.definition.plan import encode_definition
from actors.agents.lifecycle import OPERATED
from actors.agents.messages import DescribeAgent, MoveAgent, PublishAgent
from actors.workflows.definition import DefinitionInvalid
from events.agents import AgentPublished
from events.errors import InvalidData, NotFound, Unserved
from gateway.definitions import described
from gateway.http import body
from gateway.http.asking import ask, limit, page, told
from gateway.http.context import REPLAYED
from gateway.http.models_agents import MoveAgentIn
from gateway.http.route import Call, answer
from gateway.http.transcript import is_stand_in
from gateway.problems import NotValid, UnsupportedMediaType
from projections.core.query import Order, Query

TEXTS: Final = ("text/markdown", "text/x-markdown", "text/plain", "application/yaml", "text/yaml")

_published = msgspec.json.Decoder(AgentPublished).decode


async def list_agents(call: Call) -> web.Response:
    """Agents by name."""
    found = await page(
        call, "agents", Query(call.tenant, "agents", [], [Order("agent")], limit(call), call.query.after)
    )
    hidden = ("tenant", "agent", "position")
    rows = [{"name": row["agent"], **{n: v for n, v in row.items() if n not in hidden}} for row in found.rows]
    return answer({"agents": rows, "next": found.next, "broken": _broken(call)})


def _broken(call: Call) -> list[Any]:
    agents = call.door.agents
    return list(agents.broken) if agents is not None and call.tenant == call.settings.tenant else []


async def show(call: Call) -> web.Response:
    """An agent: its versions, its definition, the state of its life."""
    name = call.path("name")
    stream = await agent_stream(call, name)
    found = await told(call, stream, DescribeAgent(call.query.version))
    definition: dict[str, Any] = found["definition"]
    stand_in = bool(definition.get("scripted")) or any(map(is_stand_in, definition.get("models") or []))
    source = await _source(call, stream, found["version"])
    return answer({**found, "name": name, "source": source, "stand_in": stand_in})


async def agent_stream(call: Call, name: str) -> str:
    """The address of an agent that was published. Raises NotFound, with what is wrong with its file if there is one."""
    if await call.door.store.read_stream(call.tenant, f"agent/{name}", limit=1):
        return f"agent/{name}"
    for broken in _broken(call):
        if Path(broken.file).name in (f"{name}.agent.md", f"{name}.md"):
            first = broken.problems[0]
            where = f"{first['file']}:{first['line']}:{first['column']}"
            raise NotFound(
                f"the definition of agent {name!r} is wrong: {where}: {first['message']}",
                hint="`GET /v1/agents` shows everything that is wrong",
            )
    raise NotFound(f"there is no agent {name!r}", hint="`GET /v1/agents` lists them")


async def _source(call: Call, stream: str, version: int) -> str:
    """The text that a version was made from."""
    after = 0
    while events := await call.door.store.read_stream(call.tenant, stream, after, limit=1000):
        for event in events:
            if event.type == "AgentPublished" and (data := _published(event.data)).version == version:
                return data.source
        after = events[-1].version
    return ""


async def publish(call: Call) -> web.Response:
    """Check a definition and make it the newest version. 422 with everything that is wrong with it."""
    agents = call.door.agents
    if agents is None:
        raise Unserved("this host publishes no agents")
    text = await text_of(call)
    try:
        found = await agents.check(text, call.query.file)
    except DefinitionInvalid as error:
        raise NotValid(error.message, {"problems": [described(problem) for problem in error.problems]}) from None
    raw = msgspec.Raw(encode_definition(found.definition))
    request = PublishAgent(raw, found.hash, text, call.principal.name)
    said = await ask(call, f"agent/{found.definition.name}", request)
    return answer(said, headers={REPLAYED: "true"} if said["duplicate"] else None)


async def text_of(call: Call) -> str:
    """The body as a text. Raises UnsupportedMediaType, InvalidData."""
    media = body.media_type(call.request)
    if media and media != "application/json" and media not in TEXTS:
        raise UnsupportedMediaType(
            f"content type {media} is not read here", hint="send text/markdown or application/yaml"
        )
    raw = await body.read(call.request, call.settings.max_event, call.settings.body_timeout)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidData(f"the body is not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}") from None


async def move(call: Call) -> web.Response:
    """Operate an agent: start, drain, stop, quarantine or release it."""
    name, trigger = call.path("name"), call.path("trigger")
    if trigger not in OPERATED:
        raise NotFound(f"an agent cannot be asked to {trigger[:40]!r}", hint=f"triggers are {', '.join(OPERATED)}")
    asked = await body.model(call, MoveAgentIn, optional=True)
    stream = await agent_stream(call, name)
    said = await ask(call, stream, MoveAgent(trigger, call.principal.name, asked.reason))
    return answer({**said, "name": name}, headers={REPLAYED: "true"} if said["duplicate"] else None)


async def schema(call: Call) -> web.Response:
    """The JSON Schema of definitions, for editors."""
    from actors.agents.definition.schema import json_schema

    return answer(json_schema())
