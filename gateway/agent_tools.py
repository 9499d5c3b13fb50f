"""The tools of a host's agents: those of workspaces, and those that come along.

`files.*` and `shell.run` work in the folder that an agent's file names, each agent's in its own; `web.fetch` and
`browser.read` reach public addresses; `agent.NAME` asks another agent of the workspaces.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from fnmatch import fnmatchcase
from hashlib import sha256
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actors.tools.tool import Tool, ToolCallInfo, ToolError
from events.errors import BadDefinition, InvalidSetting, ThespisError
from infra.sandbox.sandbox import Sandbox
from infra.tools.browser import browser_tools
from infra.tools.files.tool import files_tools
from infra.tools.shell.tool import shell_tools
from infra.tools.web import web_tools

if TYPE_CHECKING:
    from actors.agents.definition.plan import AgentDefinition

log = logging.getLogger("thespis.agents")

WEB_ALLOW: Final = "THESPIS_WEB_ALLOW"
"""Private addresses that agents may reach all the same: `host:port`, separated by commas."""

SHELL: Final = "shell.run"
AGENT: Final = "agent."

_QUESTION: Final = {
    "type": "object",
    "properties": {"text": {"type": "string", "description": "What to ask it."}},
    "required": ["text"],
    "additionalProperties": False,
}


async def host_tools(
    own: Sequence[Tool], agents: Sequence[Path], environment: Mapping[str, str], data: Path | None, sandbox: Sandbox
) -> list[Tool]:
    """All tools of a host. Copies of what was before a change of a file are kept in `data`, if given; programs are run
    in `sandbox`."""
    definitions: dict[str, tuple[AgentDefinition, Path | None]] = {}
    for file in agents:
        try:
            if (definition := _definition(file)) is not None:
                definitions[definition.name] = definition, _folder(definition, file)
        except (OSError, ThespisError) as error:
            log.error("%s: %s", file, error)
    roots = {name: root for name, (_, root) in definitions.items() if root is not None}
    asked = [d for d, root in definitions.values() if root is not None and _names(d, SHELL)]
    found = [*own, *_each(roots, lambda root: files_tools(root, private=_private(root, data)))]
    if asked:
        found += await _shell({d.name: roots[d.name] for d in asked}, sandbox)
    allow = [place.strip() for place in environment.get(WEB_ALLOW, "").split(",") if place.strip()]
    try:
        found += [*web_tools(allow), *browser_tools(allow, sandbox=sandbox).tools]
    except ToolError as error:
        raise InvalidSetting(f"{WEB_ALLOW}: {error}", hint="as in intranet.example:8080,10.0.0.7:80") from None
    return [*found, *(agent_tool(definition.name, definition.description) for definition, _ in definitions.values())]


def agent_tool(name: str, description: str = "") -> Tool:
    """The tool that asks an agent. What that agent does goes through gates of its own, so asking risks little."""

    def run(_input: Any, _call: Any) -> Any:
        """Ask an agent and wait for its answer."""
        raise ToolError("an agent is asked by its actor", code="via")

    return Tool(
        f"{AGENT}{name}", run, description=description or f"Ask the agent {name}.", parameters=_QUESTION,
        risk="read-local", effect_class="keyed", via="agent", roles={"text": "body"}, annotations={"agent": name},
        timeout=600.0, code="",
    )  # fmt: skip


def _definition(file: Path) -> AgentDefinition | None:
    """What a file says, whatever tools and models there are; None when it is wrong: that is said elsewhere."""
    from actors.agents.definition.compile import compile_agent
    from actors.agents.definition.document import read_agent
    from actors.workflows.definition import DefinitionInvalid

    try:
        return compile_agent(read_agent(file.read_text("utf-8-sig"), str(file)), None).definition
    except (DefinitionInvalid, UnicodeDecodeError):
        return None


def _folder(definition: AgentDefinition, file: Path) -> Path | None:
    """The folder an agent works in, relative to the workspace: where its file is, or above `agents/`.

    Raises BadDefinition.
    """
    if not definition.files:
        return None
    if len(definition.files) > 1:
        raise BadDefinition("`files` names more than one folder", hint="name one that holds them all")
    base = file.parent.parent if file.parent.name == "agents" else file.parent
    root = (base / definition.files[0]).resolve()
    if not root.is_dir():
        raise BadDefinition(f"`files` names {root}, which is no folder", hint="make it, or name another")
    return root


def _names(definition: AgentDefinition, tool: str) -> bool:
    return any(fnmatchcase(tool, name) for name in definition.tools)


def _private(root: Path, data: Path | None) -> Path | None:
    return None if data is None else data / "files" / sha256(str(root).encode()).hexdigest()[:16]


async def _shell(roots: Mapping[str, Path], sandbox: Sandbox) -> list[Tool]:
    """`shell.run`, if this machine can confine what it runs."""
    report = await sandbox.ready()
    if not sandbox.level:
        log.error("there is no %s: no sandbox on this machine stops what it must (%s)", SHELL, report)
        return []
    log.info("%s runs in the sandbox %s", SHELL, sandbox.level)
    return _each(roots, lambda root: shell_tools(root, sandbox))


def _each(roots: Mapping[str, Path], make: Callable[[Path], Sequence[Tool]]) -> list[Tool]:
    """One set of tools for all agents: each call goes to the folder of the agent it is made for."""
    sets = {root: {tool.name: tool for tool in make(root)} for root in dict.fromkeys(roots.values())}
    if not sets:
        return []
    first = next(iter(sets.values()))
    only = first if len(sets) == 1 else None
    return [_routed(tool, {agent: sets[root] for agent, root in roots.items()}, only) for tool in first.values()]


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

    async def preview(input: Any, call: ToolCallInfo) -> Any:
        known = pick(call).preview
        shown = None if known is None else known(input)
        return await shown if isawaitable(shown) else shown

    routed = copy(tool)
    routed.run = run
    routed.reconcile = reconcile if tool.reconcile is not None else None
    routed.preview = preview if tool.preview is not None else None
    return routed
