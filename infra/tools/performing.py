"""One call of one tool: its input decoded, the tool run, its answer made small enough to be kept."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from actors.core.kind import Attempt
from actors.tools.messages import Performed, PerformTool
from actors.tools.tool import Tool, ToolCallInfo, ToolError, ToolResult
from events.errors import BadDefinition, Forbidden

LARGEST: Final = 512 * 1024
"""Bytes of a value (as JSON), and characters of a text: the rest is left out, and that is said."""
PREVIEWED: Final = 20_000
"""Characters of a preview."""
LONGEST: Final = 4_000
"""Characters of what a tool says went wrong."""

_encode: Final = msgspec.json.Encoder().encode


class Tools:
    """The tools of this host, by name. Raises BadDefinition for two of one name."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self.by_name: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self.by_name:
                raise BadDefinition(f"more than one tool is named {tool.name}", hint="rename one of them")
            self.by_name[tool.name] = tool

    def learn(self, tools: Iterable[Tool]) -> None:
        """There are more tools, or others of the same names: those of a server that was asked."""
        self.by_name |= {tool.name: tool for tool in tools}

    async def perform(self, effect_class: str, request: PerformTool, attempt: Attempt) -> Performed:
        """Run a tool. What it says itself, also that it failed, is a result.

        Raises Forbidden for whoever is not the call itself, and OSError when nobody knows what became of it (of what
        may be repeated: when it is worth another attempt).
        """
        found = self._of(effect_class, request, attempt)
        if isinstance(found, Performed):
            return found
        try:
            input = _input(found, request)
        except msgspec.ValidationError as error:
            return Performed(error=f"the arguments do not fit: {error}"[:LONGEST], code="arguments")
        seconds = min(request.timeout, found.definition.timeout)
        try:
            async with asyncio.timeout(seconds):
                value = await _run(found.run, input, _info(request, attempt))
        except TimeoutError:
            if effect_class == "irreversible":
                raise TimeoutError(f"{found.name} did not answer in {seconds:g} s") from None
            return Performed(error=f"no answer in {seconds:g} s", code="timeout")
        except ToolError as error:
            return Performed(error=(str(error) or "it failed")[:LONGEST], code=error.code)
        except OSError:
            raise
        except Exception as error:
            return Performed(error=f"{type(error).__name__}: {error}"[:LONGEST], code="exception")
        return performed(value)

    async def reconcile(self, request: PerformTool, attempt: Attempt) -> tuple[str, Any] | None:
        """What the tool itself finds out about a call that was lost; None when it cannot."""
        found = self._of("irreversible", request, attempt)
        if isinstance(found, Performed) or found.reconcile is None:
            return None
        known = await _run(found.reconcile, _input(found, request), _info(request, attempt))
        if known is None:
            return None
        status, value = known
        return (status, performed(value)) if status == "succeeded" else (status, str(value)[:LONGEST])

    async def preview(self, request: PerformTool, attempt: Attempt) -> Any:
        """What the tool says it would do, for people; "" when it says nothing. Nothing is done."""
        tool = self.by_name.get(request.tool)
        if tool is None or tool.preview is None or tool.hash != request.hash:
            return ""
        self._of(tool.definition.effect_class, request, attempt)
        try:
            given = (_input(tool, request), _info(request, attempt))[: _wants(tool.preview)]
            said = msgspec.to_builtins(await _run(tool.preview, *given))
        except Exception as error:
            return f"(no preview: {type(error).__name__}: {error})"[:LONGEST]
        text = said if isinstance(said, str) else _encode(said).decode()
        if len(text) <= PREVIEWED:
            return said
        return f"{text[:PREVIEWED]}\n[{len(text) - PREVIEWED} characters more]"

    def _of(self, effect_class: str, request: PerformTool, attempt: Attempt) -> Tool | Performed:
        """The tool, or why not. Raises Forbidden."""
        if not attempt.actor.startswith("call/") or request.call != attempt.actor:
            raise Forbidden(f"{attempt.actor} cannot have tools performed", hint="only a call can, after all its gates")
        tool = self.by_name.get(request.tool)
        if tool is None:
            return Performed(error=f"this host has no tool {request.tool}", code="not-found")
        if tool.hash != request.hash or tool.definition.effect_class != effect_class:
            return Performed(error=f"{request.tool} is defined otherwise on this host", code="changed")
        return tool


def performed(value: Any) -> Performed:
    """What a tool returned, as it is kept."""
    result = value if isinstance(value, ToolResult) else ToolResult(value)
    try:
        plain = msgspec.to_builtins(result.value)
        body = _encode(plain)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        return Performed(error=f"the result is not JSON: {error}"[:LONGEST], code="result")
    text = result.text or (plain if isinstance(plain, str) else body.decode())
    if len(body) > LARGEST:
        plain = cut(plain if isinstance(plain, str) else body.decode())
    return Performed(
        plain, cut(text), result.label, citations=list(result.citations), sandbox=result.sandbox,
        usage={name: str(amount) for name, amount in result.usage.items()},
    )  # fmt: skip


def cut(text: str) -> str:
    """A text that is not too long, and says so when some of it is left out."""
    if len(text) <= LARGEST:
        return text
    return f"{text[:LARGEST]}\n[{len(text) - LARGEST} of {len(text)} characters are left out here]"


def _input(tool: Tool, request: PerformTool) -> Any:
    return request.arguments if tool.input is None else msgspec.convert(request.arguments, tool.input)


def _info(request: PerformTool, attempt: Attempt) -> ToolCallInfo:
    return ToolCallInfo(
        request.call, attempt.key, attempt.tenant, request.requesters, request.agent, request.conversation,
        request.sandbox,
    )  # fmt: skip


def _wants(function: Any) -> int:
    """How many arguments a preview takes: the input, and the call if it wants to know."""
    try:
        return min(2, len(inspect.signature(function).parameters))
    except (TypeError, ValueError):
        return 1


async def _run(function: Any, *arguments: Any) -> Any:
    """Call a function: a coroutine here, any other beside the loop."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    value = await asyncio.to_thread(function, *arguments)
    return await value if inspect.isawaitable(value) else value
