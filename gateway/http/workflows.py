"""GET and POST /v1/workflows: definitions, checked here and published at their actor; and runs of them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from actors.workflows.definition import DefinitionInvalid
from events.errors import InvalidData, NotFound
from gateway.definitions import described, publication
from gateway.http import body
from gateway.http.asking import caught_up, keyed, limit, one, page, reply, send
from gateway.http.context import patience
from gateway.http.route import Call, answer
from gateway.problems import NotValid, UnsupportedMediaType
from projections.core.query import Filter, Order, Query

YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain")
SHOWN = 100
"""Versions that are listed."""


async def publish(call: Call) -> web.Response:
    """Check a definition and make it the newest version. 422 with everything that is wrong with it."""
    media = body.media_type(call.request)
    if media and media != "application/json" and media not in YAML:
        raise UnsupportedMediaType(
            f"content type {media} is not read here", hint="send application/yaml or application/json"
        )
    raw = await body.read(call.request, call.settings.max_event, call.settings.body_timeout)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidData(f"the body is not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}") from None
    try:
        compiled = await call.door.definitions.check(text, call.query.file)
    except DefinitionInvalid as error:
        raise NotValid(error.message, {"problems": [described(problem) for problem in error.problems]}) from None
    to = f"workflow/{compiled.plan.name}"
    who = call.principal.name
    sent = publication(compiled, text, call.tenant, who, keyed(call, to), patience(call))
    return answer(reply(sent, await send(call, sent)))


async def list_workflows(call: Call) -> web.Response:
    """Workflows by name."""
    where = [Filter("version", ">", 0)]
    found = await page(
        call, "workflows", Query(call.tenant, "workflows", where, [Order("name")], limit(call), call.query.after)
    )
    ours = call.door.definitions.broken if call.tenant == call.settings.tenant else []
    broken = [{"file": one.file, "problems": one.problems} for one in ours]
    return answer({"workflows": [_without_tenant(row) for row in found.rows], "next": found.next, "broken": broken})


async def show(call: Call) -> web.Response:
    """A workflow, its newest versions and its definition."""
    name = call.path("name")
    await caught_up(call, "workflows")
    row = await one(call, "workflows", "workflows", name=name)
    if row is None or not row["version"]:
        raise NotFound(f"there is no workflow {name!r}", hint="`GET /v1/workflows` lists them")
    where = [Filter("name", "=", name)]
    order = [Order("version", descending=True)]
    found = await call.door.models.query(
        "workflows", Query(call.tenant, "workflow_versions", where, order, limit=SHOWN)
    )
    versions = [
        {"version": r["version"], "hash": r["hash"], "published_at": r["published_at"], "by": r["by"]}
        for r in found.rows
    ]
    source = next((r["source"] for r in found.rows if r["version"] == row["version"]), "")
    return answer({**_without_tenant(row), "versions": versions, "source": source})


async def show_version(call: Call) -> web.Response:
    """One version with its definition."""
    name, number = call.path("name"), call.path("version")
    await caught_up(call, "workflows")
    row = None
    if len(number) < 10:
        row = await one(call, "workflows", "workflow_versions", name=name, version=int(number))
    if row is None:
        raise NotFound(
            f"there is no version {number} of workflow {name!r}", hint=f"`GET /v1/workflows/{name}` lists its versions"
        )
    return answer(_without_tenant(row))


async def schema(call: Call) -> web.Response:
    """The JSON Schema of definitions, for editors."""
    from actors.workflows.definition.schema import json_schema

    return answer(json_schema())


def _without_tenant(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "tenant"}
