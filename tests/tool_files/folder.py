"""A folder with the tools for it, called as a host calls them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from actors.tools.tool import Tool, ToolCallInfo, ToolError, ToolResult
from infra.tools.files.tool import files_tools


def info(key: str = "") -> ToolCallInfo:
    """What a tool is told of its call."""
    return ToolCallInfo("c1", key, "default", ["user:ada"])


class Folder:
    """`root` is what the tools are for; beside it is what they must not reach."""

    def __init__(self, place: Path, **options: Any) -> None:
        self.root = place / "root"
        self.root.mkdir(exist_ok=True)
        self.private = place / "private"
        tools = files_tools(self.root, private=self.private, **options)
        self.tools: dict[str, Tool] = {tool.name.removeprefix("files."): tool for tool in tools}

    async def call(self, name: str, key: str = "", **arguments: Any) -> ToolResult:
        """Call one. Raises ToolError."""
        tool = self.tools[name]
        assert tool.input is not None
        result = await tool.run(msgspec.convert(arguments, tool.input), info(key))
        assert isinstance(result, ToolResult)
        return result

    async def reconcile(self, name: str, key: str, **arguments: Any) -> Any:
        """Ask what became of a call."""
        tool = self.tools[name]
        assert tool.input is not None
        assert tool.reconcile is not None
        return await tool.reconcile(msgspec.convert(arguments, tool.input), info(key))

    async def refused(self, name: str, **arguments: Any) -> str:
        """The code of the ToolError that a call ends with."""
        try:
            await self.call(name, **arguments)
        except ToolError as error:
            return error.code
        raise AssertionError(f"{name} {arguments} was not refused")

    def everything(self) -> dict[str, bytes]:
        """Every file below the root, by its path."""
        return {
            str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*")
            if path.is_file() and not path.is_symlink()
        }  # fmt: skip
