"""The tools that come along: pinned as they are, judged by what their arguments decide, let through no other way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.testing.clock import run_virtual
from actors.tools.policy import Facts, Published, judge
from actors.tools.policy_default import DEFAULT
from actors.tools.policy_file import read_policy
from actors.tools.risk import LEAVES, risk_of
from actors.tools.tool import Tool, hash_of
from actors.tools.tool_kind import definition_problem
from infra.memory.system import System
from infra.sandbox.sandbox import Sandbox
from infra.tools.browser.tool import browser_tools
from infra.tools.effects import tool_effects
from infra.tools.files.tool import files_tools
from infra.tools.shell.tool import shell_tools
from infra.tools.web.tool import web_tools
from tests.governance.test_every_path import AGREED, ASKED, BEGUN, DONE, TO_POLICY
from tests.governance.world import World, plugin, wanted


def builtins(folder: Path) -> list[Tool]:
    """All of them."""
    browsers: Any = browser_tools()
    browser = list(getattr(browsers, "tools", browsers))
    return [*files_tools(folder), *shell_tools(folder, Sandbox()), *web_tools(), *browser]


@pytest.fixture
def tools(tmp_path: Path) -> list[Tool]:
    return builtins(tmp_path)


def sample(schema: dict[str, Any], whole: dict[str, Any]) -> Any:
    """A value that fits a schema, with what it demands and nothing more."""
    if "$ref" in schema:
        return sample(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "enum" in schema or "const" in schema:
        return schema.get("const") if "const" in schema else schema["enum"][0]
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        return sample(one, whole)
    match schema.get("type"):
        case "object":
            needed = {name: schema["properties"][name] for name in schema.get("required", ())}
            return {name: sample(inner, whole) for name, inner in needed.items()}
        case "array":
            return [sample(schema["items"], whole)] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case _:
            return "x" * max(1, schema.get("minLength", 1))


def test_every_definition_is_one_and_no_two_have_a_name(tools: list[Tool]) -> None:
    assert len({tool.name for tool in tools}) == len(tools) > 8
    for tool in tools:
        assert definition_problem(tool.definition) == "", tool.name
        assert hash_of(tool.definition) == tool.hash
        assert not set(tool.definition.roles) - set(tool.definition.parameters["properties"]), tool.name


def judged(tool: Tool, label: str) -> str:
    arguments = sample(tool.definition.parameters, tool.definition.parameters)
    policy = read_policy(DEFAULT)
    facts = Facts(
        tool.definition, arguments, dict.fromkeys(arguments, label), ["user:ada"], "default", 1, "agent/helper"
    )
    return judge(Published(policy, 1, ""), facts).decision


def test_nothing_leaves_or_is_run_on_the_word_of_somebody_untrusted(tools: list[Tool]) -> None:
    for tool in tools:
        if risk_of(tool.definition) in LEAVES:
            assert set(tool.definition.roles.values()) & {"destination", "command"}, tool.name
            assert judged(tool, "untrusted/public") == "deny", tool.name
            assert judged(tool, "trusted/secret") == "deny", tool.name
        if risk_of(tool.definition) not in ("read-local", "read-network"):
            assert judged(tool, "trusted/private") == "ask", tool.name


def test_each_goes_through_every_gate(tools: list[Tool]) -> None:
    async def done(_input: Any, _call: Any) -> str:
        return "done"

    async def main() -> None:
        for tool in tools:
            tool.run, tool.preview = done, None
        async with System(plugin(tool_effects(tools))) as system:
            world = World(system)
            await world.prepare(tools)
            for number, tool in enumerate(tools):
                arguments = sample(tool.definition.parameters, tool.definition.parameters)
                id = f"{number}"
                status = await world.call(id, wanted(tool.name, arguments))
                asks = status == "asked"
                assert asks == (risk_of(tool.definition) not in ("read-local", "read-network")), (tool.name, status)
                if asks:
                    await world.approve(id)
                assert await world.status(id) == "succeeded", (tool.name, await world.ended(id))
                asked = ASKED + AGREED if asks else []
                assert await world.story(id) == [*TO_POLICY, *asked, *BEGUN, *DONE], tool.name

    run_virtual(main())
