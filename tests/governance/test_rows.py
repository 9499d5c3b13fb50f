"""Tools, calls and policies as rows: what they say is what the actors say, also when they are folded again."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.core.kind import Plugin, merge
from actors.testing.clock import run_virtual
from actors.tools.messages import ApproveTool, DisableTool, SeeTool
from actors.tools.tool import hash_of
from infra.memory.system import System
from infra.tools.effects import tool_effects
from projections import policies, replay
from projections import tools as rows_of_tools
from tests.governance.test_every_path import ARGUMENTS, ASKS
from tests.governance.world import Outside, World, plugin, toys, wanted


def test_rows_say_what_the_actors_say() -> None:
    async def main() -> None:
        outside = Outside()
        tools = toys(outside)
        read_models = Plugin(projections=[rows_of_tools.PROJECTION, policies.PROJECTION])
        async with System(merge([plugin(tool_effects(tools)), read_models])) as system:
            world = World(system)
            await world.prepare(tools)
            for tool in tools:
                await world.call(tool.name, wanted(tool.name, ARGUMENTS[tool.name]))
                if tool.name in ASKS and tool.name != "shell.run":
                    await world.approve(tool.name)
            await world.call("none", wanted("nobody has this"))
            changed = msgspec.structs.replace(tools[0].definition, description="Otherwise.")
            await system.ask("tool/files.read", SeeTool(hash_of(changed), changed), sender="host/2")
            await system.ask("tool/web.get", DisableTool(reason="not now"), sender="user:owner")
            await system.settle()
            events = await system.events()
            tables = replay(rows_of_tools.PROJECTION, events)
            by_tool: dict[str, Any] = {row["tool"]: row for row in tables["tools"]}
            assert by_tool["files.read"]["status"] == "changed"
            assert by_tool["files.read"]["pending"] == hash_of(changed)
            assert by_tool["files.read"]["diff"] == ['description: "" → "Otherwise."']
            assert by_tool["web.get"]["status"] == "disabled"
            assert all(row["calls"] == 1 for row in by_tool.values())
            for name, row in by_tool.items():
                state = await system.state(f"tool/{name}")
                assert (row["status"], row["hash"]) == (state["status"], state["hash"])
            calls = {row["call"]: row for row in tables["calls"]}
            for name, row in calls.items():
                state = await system.state(f"call/{name}")
                assert row["status"] == state["status"], name
                if "ended" in state:
                    assert row["stage"] == state["ended"]["stage"]
            assert calls["mail.send"]["approved_by"] == ["boss"]
            assert calls["mail.send"]["decision"] == "ask"
            assert calls["shell.run"]["status"] == "asked"
            assert calls["none"]["code"] == "not-found"
            await system.ask("tool/files.read", ApproveTool(hash_of(changed)), sender="user:owner")
            again = {r["tool"]: r for r in replay(rows_of_tools.PROJECTION, await system.events())["tools"]}
            assert (again["files.read"]["status"], again["files.read"]["hash"]) == ("approved", hash_of(changed))
            assert again["files.read"]["description"] == "Otherwise."
            (row,) = await system.rows("policies")
            assert (row["name"], row["version"]) == ("default", 1)

    run_virtual(main())
