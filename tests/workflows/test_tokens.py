"""Who may do what with workflows: scopes, tenants, and the names of approvers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from actors.core.kind import merge
from actors.workflows.plugin import workflow_plugin
from events.address import DEFAULT_TENANT
from gateway.tokens import create_token
from infra.cel import Cel
from infra.memory.tokens import MemoryTokens
from tests.gateway.site import PLUGIN, Site, serving

BOTH = """
name: both
steps:
  ask: {approve: {what: 1, approvers: [ada, bob], quorum: 2}}
"""


class Users:
    """A door that asks for tokens, and one token a user."""

    def __init__(self, site: Site, tokens: MemoryTokens) -> None:
        self.site = site
        self.tokens = tokens

    async def add(self, name: str, *scopes: str, tenant: str = DEFAULT_TENANT) -> dict[str, str]:
        """The headers of a new user."""
        text, _ = await create_token(self.tokens, name, scopes, tenant=tenant)
        return {"Authorization": f"Bearer {text}"}

    async def call(self, method: str, path: str, who: dict[str, str], body: Any = None, **headers: str) -> Any:
        """Status and body."""
        how: dict[str, Any] = {"json": body} if body is not None else {}
        status, _, out = await self.site.call(method, path, headers=who | headers, **how)
        return status, out

    async def publish(self, source: str, who: dict[str, str]) -> Any:
        """Status and body."""
        headers = who | {"Content-Type": "application/yaml"}
        status, _, out = await self.site.call("POST", "/v1/workflows", data=source.encode(), headers=headers)
        return status, out


@pytest.fixture
async def users() -> AsyncGenerator[Users]:
    tokens = MemoryTokens()
    plugin = merge([PLUGIN, workflow_plugin(Cel())])
    async with serving(tokens=tokens, plugin=plugin, require_token=True) as site:
        yield Users(site, tokens)


async def test_every_door_asks_for_its_own_scope(users: Users) -> None:
    nobody = await users.add("nobody", "metrics:read")
    for method, path, scope in (
        ("GET", "/v1/workflows", "workflows:read"), ("GET", "/v1/workflows/a", "workflows:read"),
        ("GET", "/v1/runs", "workflows:read"), ("GET", "/v1/runs/a", "workflows:read"),
        ("GET", "/v1/runs/a/watch", "workflows:read"), ("GET", "/v1/assets", "workflows:read"),
        ("GET", "/v1/approvals", "workflows:read"), ("POST", "/v1/workflows", "workflows:write"),
        ("POST", "/v1/workflows/a/runs", "runs:write"), ("POST", "/v1/runs/a/cancel", "runs:write"),
        ("POST", "/v1/runs/a/fork", "runs:write"), ("POST", "/v1/approvals/a/approve", "approvals:write"),
        ("POST", "/v1/approvals/a/deny", "approvals:write"),
    ):  # fmt: skip
        status, out = await users.call(method, path, nobody)
        assert (status, scope in out["detail"]) == (403, True), path
        assert (await users.call(method, path, {}))[0] == 401, path
    assert (await users.call("GET", "/v1/workflow-schema", {}))[0] == 200


async def test_only_approvers_approve_each_once_and_both_must(users: Users) -> None:
    every = ("workflows:read", "workflows:write", "runs:write", "approvals:write")
    ada, bob, eve = [await users.add(name, *every) for name in ("ada", "bob", "eve")]
    assert (await users.publish(BOTH, ada))[0] == 200
    status, run = await users.call("POST", "/v1/workflows/both/runs", ada, {})
    assert (status, run["by"]) == (202, "user:ada")
    page: dict[str, Any] = {"approvals": []}
    async with asyncio.timeout(20):
        while not page["approvals"]:
            _, page = await users.call("GET", f"/v1/approvals?run={run['run']}", eve)
    path = f"/v1/approvals/{page['approvals'][0]['approval']}"
    assert (await users.call("POST", f"{path}/approve", eve, {}))[1]["reason_code"] == "approver"
    assert (await users.call("POST", f"{path}/deny", eve, {}))[1]["reason_code"] == "approver"
    first = (await users.call("POST", f"{path}/approve", ada, {}))[1]
    assert (first["status"], first["needed"], first["given"]) == ("waiting", 1, ["ada"])
    again = (await users.call("POST", f"{path}/approve", ada, {}))[1]
    assert (again["status"], again["given"]) == ("waiting", ["ada"])
    # Nobody says of himself who he is.
    assert (await users.call("POST", f"{path}/approve", ada, {"by": "bob"}))[0] == 400
    last = (await users.call("POST", f"{path}/approve", bob, {"note": "well"}))[1]
    assert (last["status"], last["given"]) == ("reached", ["ada", "bob"])
    shown = (await users.call("GET", path, eve))[1]
    assert [(given["by"], given["note"]) for given in shown["given"]] == [("ada", ""), ("bob", "well")]


async def test_another_tenant_sees_nothing_of_it(users: Users) -> None:
    every = ("workflows:read", "workflows:write", "runs:write", "approvals:write")
    ours, theirs = await users.add("ada", *every), await users.add("ada", *every, tenant="other")
    await users.publish(BOTH, ours)
    _, run = await users.call("POST", "/v1/workflows/both/runs", ours, {})
    assert (await users.call("GET", "/v1/workflows", theirs))[1]["workflows"] == []
    assert (await users.call("GET", "/v1/runs", theirs))[1]["runs"] == []
    assert (await users.call("GET", "/v1/approvals", theirs))[1]["approvals"] == []
    for path in (f"/v1/runs/{run['run']}", f"/v1/runs/{run['run']}/graph", "/v1/workflows/both"):
        assert (await users.call("GET", path, theirs))[0] == 404, path
    assert (await users.call("POST", f"/v1/runs/{run['run']}/cancel", theirs, {}))[0] == 404
    assert (await users.call("POST", "/v1/workflows/both/runs", theirs, {}))[0] == 404
