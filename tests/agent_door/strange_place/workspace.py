"""A workspace with the tools of somebody else's MCP server."""

from __future__ import annotations

import os
import sys

from actors import Plugin
from infra.mcp.config import McpServer, ToolRule

SERVER = McpServer(
    "odd",
    command=sys.executable,
    args=["-m", "tests.mcp.strange"],
    env={"STRANGE_STATE": "env:THESPIS_TEST_STRANGE", "PYTHONPATH": f"text:{os.getcwd()}"},
    reads=[os.getcwd()],
    writes=[os.path.dirname(os.environ["THESPIS_TEST_STRANGE"])],
    include=["echo", "pay", "change"],
    tools={
        "echo": ToolRule(risk="read-network", effect_class="idempotent", roles={"said": "data"}),
        "change": ToolRule(risk="read-network"),
    },
)

plugin = Plugin(mcp=[SERVER])
