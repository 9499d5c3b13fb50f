"""The tools of a host's agents: those of workspaces, and `files.*` for agents whose definitions name a folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from copy import copy
from hashlib import sha256
from pathlib import Path
from typing import Any

from actors.tools.tool import Tool, ToolCallInfo, ToolError
from events.errors import BadDefinition, ThespisError
from infra.tools.files.tool import files_tools

log = logging.getLogger("thespis.agents")


def host_tools(own: Sequence[Tool], agents: Sequence[Path], data: Path | None) -> list[Tool]:
    """The tools of workspaces, and those for the folders that agents' files name.

    Every agent's `files.*` reach its own folder only. Copies of what was before a change are kept in `data`, if given.
    """
    roots: dict[str, Path] = {}
    for file in agents:
        try:
            roots |= folder_of(file)
        except (OSError, ThespisError) as error:
            log.error("%s: %s", file, error)
    return [*own, *_by_agent(roots, data)]


def folder_of(file: Path) -> dict[str, Path]:
    """The folder an agent's file names, by the agent's name; none when it names none, or cannot be read.

    It is relative to the workspace: where the file is, or above `agents/`. Raises BadDefinition.
    """
    from actors.agents.definition.compile import compile_agent
    from actors.agents.definition.document import read_agent
    from actors.workflows.definition import DefinitionInvalid

    try:
        definition = compile_agent(read_agent(file.read_text("utf-8-sig"), str(file)), None).definition
    except (DefinitionInvalid, UnicodeDecodeError):
        return {}  # said when it is published
    if not definition.files:
        return {}
    if len(definition.files) > 1:
        raise BadDefinition("`files` names more than one folder", hint="name one that holds them all")
    base = file.parent.parent if file.parent.name == "agents" else file.parent
    root = (base / definition.files[0]).resolve()
    if not root.is_dir():
        raise BadDefinition(f"`files` names {root}, which is no folder", hint="make it, or name another")
    return {definition.name: root}


def _by_agent(roots: Mapping[str, Path], data: Path | None) -> list[Tool]:
    """One set of tools; each call goes to the folder of the agent it is made for."""
    sets: dict[Path, dict[str, Tool]] = {}
    for root in dict.fromkeys(roots.values()):
        private = data / "files" / sha256(str(root).encode()).hexdigest()[:16] if data is not None else None
        sets[root] = {tool.name: tool for tool in files_tools(root, private=private)}
    if not sets:
        return []
    folders = {agent: sets[root] for agent, root in roots.items()}
    only = next(iter(sets.values())) if len(sets) == 1 else None
    return [_routed(tool, folders, only) for tool in next(iter(sets.values())).values()]


def _routed(tool: Tool, folders: Mapping[str, Mapping[str, Tool]], only: Mapping[str, Tool] | None) -> Tool:
    def pick(call: ToolCallInfo) -> Tool:
        agent = call.agent.removeprefix("agent/")
        found = folders.get(agent) if agent else only
        if found is None:
            who = agent or "who asks for no agent, where several have one,"
            raise ToolError(f"{who} has no folder here", code="folder")
        return found[tool.name]

    async def run(input: Any, call: ToolCallInfo) -> Any:
        return await pick(call).run(input, call)

    async def reconcile(input: Any, call: ToolCallInfo) -> Any:
        known = pick(call).reconcile
        return None if known is None else await known(input, call)

    routed = copy(tool)
    routed.run = run
    routed.reconcile = reconcile if tool.reconcile is not None else None
    return routed
