"""/v1/tools, /v1/calls and /v1/policies: what there is, what may be done, and having it done."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from aiohttp import web

from actors.tools.messages import (
    ApproveTool,
    DescribePolicy,
    DescribeTool,
    DisableTool,
    PublishPolicy,
    RequestCall,
)
from actors.tools.names import tool_address
from events.address import address
from events.errors import NotFound, Unserved
from gateway.http import body
from gateway.http.agents import text_of
from gateway.http.asking import ask, keyed, limit, page, told
from gateway.http.call_record import CallRecord, record
from gateway.http.context import REPLAYED
from gateway.http.models_tools import ApproveToolIn, DisableToolIn, RunToolIn
from gateway.http.posting import WRITTEN
from gateway.http.route import Call, answer
from projections.core.query import Filter, Order, Query

WAIT: Final = 10.0
"""Seconds that a call is waited for when nobody says how long."""

THEIRS: Final = "trusted/private"
"""The label of what a person types."""

_encode = msgspec.json.Encoder(order="deterministic").encode


async def list_tools(call: Call) -> web.Response:
    """Tools by name."""
    asked = call.query
    where = [Filter(n, "=", v) for n, v in (("status", asked.status), ("risk", asked.risk)) if v is not None]
    found = await page(call, "tools", Query(call.tenant, "tools", where, [Order("tool")], limit(call), asked.after))
    rows = [{name: value for name, value in row.items() if name != "tenant"} for row in found.rows]
    return answer({"tools": rows, "next": found.next})


async def show(call: Call) -> web.Response:
    """A tool: its definition, and whether it may be used."""
    name = call.path("name")
    found = await told(call, await _tool(call, name), DescribeTool())
    return answer({**found, "tool": name})


async def approve(call: Call) -> web.Response:
    """Agree to a definition, in the name of the token."""
    asked = await body.model(call, ApproveToolIn)
    name = call.path("name")
    to = await _tool(call, name)
    return _moved(name, await ask(call, to, ApproveTool(asked.hash, call.principal.name, asked.note)))


async def disable(call: Call) -> web.Response:
    """Let no call of it in."""
    asked = await body.model(call, DisableToolIn, optional=True)
    name = call.path("name")
    to = await _tool(call, name)
    return _moved(name, await ask(call, to, DisableTool(call.principal.name, asked.reason)))


def _moved(name: str, said: dict[str, Any]) -> web.Response:
    return answer({**said, "tool": name}, headers={REPLAYED: "true"} if said["duplicate"] else None)


async def _tool(call: Call, name: str) -> str:
    """The address of a tool that was seen. Raises NotFound."""
    stream = tool_address(name)
    if not await call.door.store.read_stream(call.tenant, stream, limit=1):
        raise NotFound(f"there is no tool {name!r}", hint="`GET /v1/tools` lists them")
    return stream


async def run(call: Call) -> web.Response:
    """Have a tool called, through every gate; the answer is 200 with its end, or 202 and where it stands."""
    asked = await body.model(call, RunToolIn)
    name = call.path("name")
    to = await _tool(call, name)
    id = keyed(call, to, "call")
    label = WRITTEN if asked.untrusted else THEIRS
    arguments = _encode(asked.arguments).decode()
    request = RequestCall(name, arguments, [call.principal.name], id, {"*": label}, dry=asked.dry)
    said = await ask(call, f"call/{id}", request)
    found = await _ended(call, id, WAIT if asked.wait is None else asked.wait)
    out = {**msgspec.to_builtins(found), "position": said["position"], "duplicate": said["duplicate"]}
    headers = {REPLAYED: "true"} if said["duplicate"] else None
    return answer(out, status=200 if found.ended_at is not None else 202, headers=headers)


async def _ended(call: Call, id: str, wait: float) -> CallRecord:
    """A call once it has ended or waits for people, or as it is after `wait` seconds."""
    end = time.monotonic() + min(wait, call.settings.max_wait)
    found = CallRecord(id)
    while True:
        head = await call.door.store.head()
        found.fold(await call.door.store.read_stream(call.tenant, f"call/{id}", found.version))
        left = end - time.monotonic()
        if found.ended_at is not None or found.status == "waiting" or left <= 0:
            return found
        await call.door.heads.beyond(head, left)


async def show_call(call: Call) -> web.Response:
    """A call and how far it came."""
    return answer(await record(call, call.path("id")))


# -- policies


async def list_policies(call: Call) -> web.Response:
    """Policies by name."""
    found = await page(
        call, "policies", Query(call.tenant, "policies", [], [Order("name")], limit(call), call.query.after)
    )
    rows = [{name: value for name, value in row.items() if name != "tenant"} for row in found.rows]
    return answer({"policies": rows, "next": found.next})


async def show_policy(call: Call) -> web.Response:
    """A version of the rules, and the text they were made from."""
    name = call.path("name")
    stream = address("policy", name)
    if not await call.door.store.read_stream(call.tenant, stream, limit=1):
        raise NotFound(f"there is no policy {name!r}", hint="`GET /v1/policies` lists them")
    found = await told(call, stream, DescribePolicy(call.query.version))
    return answer({**found, "name": name})


async def publish_policy(call: Call) -> web.Response:
    """Check rules and make them the newest version. 422 with everything that is wrong with them."""
    policies = call.door.policies
    if policies is None:
        raise Unserved("this host publishes no policies")
    name, text = call.path("name"), await text_of(call)
    rules, hash = await policies.check(text, call.query.file)
    said = await ask(call, address("policy", name), PublishPolicy(rules, hash, text, call.principal.name))
    return answer({**said, "name": name}, headers={REPLAYED: "true"} if said["duplicate"] else None)
