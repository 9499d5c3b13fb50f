"""A system in memory with toy tools of every kind, somebody who asks for calls, and an outside world that counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from actors.agents.messages import ConversationReplied, Post
from actors.approval import Approve, Deny
from actors.budget import budget
from actors.core.kind import EffectKind, Kind, Plugin, merge
from actors.core.outputs import Tell
from actors.testing.clock import run_virtual
from actors.tools.messages import ApproveTool, CallFinished, CallWaits, DropCall, PublishPolicy, RequestCall
from actors.tools.plugin import tools_plugin
from actors.tools.policy import Policy, encode_policy
from actors.tools.policy_default import DEFAULT
from actors.tools.policy_file import read_policy
from actors.tools.tool import Tool, ToolCallInfo, ToolError, ToolResult
from actors.workflows.plan import encode_plan
from actors.workflows.plugin import workflow_plugin
from actors.workflows.workflow import PublishWorkflow
from events.envelope import Message
from infra.cel import Cel
from infra.memory.system import System
from infra.memory.workflows import planned
from infra.tools.effects import seen, tool_effects

T = TypeVar("T")

# -- who asks


class Want(msgspec.Struct):
    """Ask for this call."""

    call: str
    request: RequestCall


class Drop(msgspec.Struct):
    call: str


class Finished(msgspec.Struct):
    call: str
    status: str
    text: str
    code: str
    stage: str
    label: str
    data: Any = None


class Waits(msgspec.Struct):
    call: str
    approval: str


class Wanted(msgspec.Struct):
    call: str


class Asker(msgspec.Struct):
    finished: dict[str, list[Finished]] = {}
    waits: dict[str, str] = {}


def _decide(_state: Asker, message: Message) -> list[Any]:
    match message.data:
        case Want(call, request):
            return [Wanted(call), Tell(call, request)]
        case Drop(call):
            return [Wanted(call), Tell(call, DropCall("not wanted"))]
        case CallFinished() as m:
            return [Finished(m.call, m.status, m.text, m.code, m.stage, m.label, m.data)]
        case CallWaits() as m:
            return [Waits(m.call, m.approval)]
        case _:
            return []


def _evolve(state: Asker, event: Any) -> Asker:
    match event:
        case Finished(call=call):
            state.finished = {**state.finished, call: [*state.finished.get(call, []), event]}
        case Waits(call, approval):
            state.waits = {**state.waits, call: approval}
        case _:
            pass
    return state


asker = Kind(
    "asker", state=Asker, decide=_decide, evolve=_evolve, messages=[Want, Drop, CallFinished, CallWaits],
    events=[Wanted, Finished, Waits],
)  # fmt: skip


# -- an agent that can be called: what is proven here is the call


class Posted(msgspec.Struct):
    text: str


def _converse(_state: Any, message: Message) -> list[Any]:
    match message.data:
        case Post(text="say nothing"):
            return [Posted("")]
        case Post(text=text, parent=parent, ref=ref):
            replied = ConversationReplied(ref, message.to, 1, "replied", f"you said {text}", label="untrusted/private")
            return [Posted(text), Tell(parent, replied)]
        case _:
            return []


class Nothing(msgspec.Struct):
    pass


parrot = Kind(
    "conversation", state=Nothing, decide=_converse, evolve=lambda state, _event: state, messages=[Post],
    events=[Posted],
)  # fmt: skip


# -- the outside world


class Outside:
    """Counts what is done to it, by the key of each call; and what it was given."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.sent: list[Any] = []
        self.busy = 0
        self.most = 0
        self.hang = asyncio.Event()
        self.hangs = False

    async def act(self, what: str, call: ToolCallInfo, given: Any = None) -> None:
        """Something that cannot be taken back; it takes a moment before and after."""
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            await asyncio.sleep(0)
            self.done[f"{what} {call.call}"] += 1
            self.sent.append(given)
            await asyncio.sleep(0)
            if self.hangs:
                await self.hang.wait()
        finally:
            self.busy -= 1


class ReadInput(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    lines: int = 100


class GetInput(msgspec.Struct, forbid_unknown_fields=True):
    url: str


class NoteInput(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    text: str


class MailInput(msgspec.Struct, forbid_unknown_fields=True):
    to: str
    text: str


class ShellInput(msgspec.Struct, forbid_unknown_fields=True):
    command: str


FILES = {"notes.txt": "milk and bread"}


def toys(outside: Outside, files: dict[str, str] = FILES, pages: dict[str, str] | None = None) -> list[Tool]:
    """One tool of each risk, class and performer."""

    async def read(input: ReadInput, _call: ToolCallInfo) -> ToolResult:
        if input.path not in files:
            raise ToolError(f"there is no {input.path}", code="not-found")
        return ToolResult(files[input.path], label="untrusted/secret" if input.path == "secrets.env" else "")

    async def get(input: GetInput, call: ToolCallInfo) -> str:
        await outside.act("get", call, input.url)
        return (pages or {}).get(input.url, "an empty page")

    async def note(input: NoteInput, call: ToolCallInfo) -> dict[str, int]:
        await outside.act("note", call, (input.path, input.text))
        return {"written": len(input.text)}

    async def mail(input: MailInput, call: ToolCallInfo) -> dict[str, bool]:
        await outside.act("mail", call, (input.to, input.text))
        return {"sent": True}

    async def shell(input: ShellInput, call: ToolCallInfo) -> str:
        await outside.act("shell", call, input.command)
        return "ran"

    async def far(input: dict[str, Any], call: ToolCallInfo) -> Any:
        await outside.act("far", call, input)
        return {"echo": input}

    async def lost(_input: MailInput, _call: ToolCallInfo) -> Any:
        raise ConnectionResetError("the line broke")

    text = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    return [
        Tool("files.read", read, input=ReadInput, risk="read-local", effect_class="pure"),
        Tool(
            "web.get", get, input=GetInput, risk="read-network", effect_class="idempotent",
            roles={"url": "destination"}, result="untrusted/public",
        ),
        Tool(
            "notes.write", note, input=NoteInput, risk="write-reversible", effect_class="keyed",
            roles={"path": "destination", "text": "body"}, result="trusted/private",
        ),
        Tool(
            "mail.send", mail, input=MailInput, risk="write-external", roles={"to": "destination", "text": "body"},
            at_once=2, result="trusted/private",
        ),
        Tool(
            "mail.lost", lost, input=MailInput, risk="write-external", roles={"to": "destination", "text": "body"},
        ),
        Tool(
            "shell.run", shell, input=ShellInput, risk="privileged", roles={"command": "command"}, sandbox="landlock",
        ),
        Tool(
            "far/echo", far, parameters={"type": "object"}, description="Says it again.", risk="read-local",
            effect_class="pure", via="mcp", origin="far", annotations={"readOnlyHint": True}, code="",
        ),
        Tool(
            "greeting", far, parameters=text, description="Greets.", risk="read-local", effect_class="idempotent",
            via="workflow", code="",
        ),
        Tool(
            "parrot", far, parameters=text, description="Says it again.", risk="read-local", via="agent", code="",
        ),
    ]  # fmt: skip


WORKFLOW = """
name: greeting
inputs: {text: {type: string}}
outputs: {said: "${ steps.say.output }"}
steps:
  say: {value: "${ 'hello ' + inputs.text }"}
"""

# -- the system


def plugin(effects: list[EffectKind]) -> Plugin:
    return merge([tools_plugin(effects), workflow_plugin(Cel()), Plugin(kinds=[asker, parrot, budget])])


def published(policy: Policy) -> PublishPolicy:
    return PublishPolicy(msgspec.Raw(encode_policy(policy)), "")


TRUSTED = {"*": "trusted/private"}


def wanted(tool: str, arguments: Any = None, **more: Any) -> RequestCall:
    """What an agent asks for, on behalf of ada."""
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments or {}).decode()
    given = {"requesters": ["user:ada", "agent/helper"], "agent": "agent/helper", "labels": TRUSTED} | more
    return RequestCall(tool, text, ref="1", **given)


class World:
    """What tests do."""

    def __init__(self, system: System) -> None:
        self.system = system

    async def prepare(self, tools: list[Tool], policy: Policy | None = None) -> None:
        for to, message in seen(tools):
            await self.system.ask(to, message, sender="host/1")
        for tool in tools:
            if tool.origin:
                await self.system.ask(f"tool/{tool.name}", ApproveTool(tool.hash), sender="user:owner")
        await self.system.ask("policy/default", published(policy or read_policy(DEFAULT)))
        plan = planned(WORKFLOW)
        await self.system.ask("workflow/greeting", PublishWorkflow(msgspec.Raw(encode_plan(plan))))

    async def call(self, id: str, request: RequestCall) -> str:
        """Have the asker want it; let everything come to rest. Returns the status of the call."""
        await self.system.ask("asker/1", Want(f"call/{id}", request))
        await self.system.settle()
        return await self.status(id)

    async def status(self, id: str) -> str:
        return (await self.system.state(f"call/{id}")).get("status", "new")

    async def approve(self, id: str, by: str = "boss") -> None:
        approval = (await self.system.state(f"call/{id}"))["approval"]
        await self.system.ask(approval, Approve(), sender=f"user:{by}")
        await self.system.settle()

    async def deny(self, id: str, by: str = "boss") -> None:
        approval = (await self.system.state(f"call/{id}"))["approval"]
        await self.system.ask(approval, Deny(), sender=f"user:{by}")
        await self.system.settle()

    async def approval(self, id: str) -> str:
        """The status of its approval."""
        address = (await self.system.state(f"call/{id}"))["approval"]
        return (await self.system.state(address))["status"]

    async def ended(self, id: str) -> dict[str, Any]:
        return (await self.system.state(f"call/{id}"))["ended"]

    async def told(self, id: str) -> list[dict[str, Any]]:
        """All that the asker was told of its end."""
        state = await self.system.state("asker/1")
        return state.get("finished", {}).get(f"call/{id}", [])

    async def story(self, id: str) -> list[str]:
        """The events of a call, without the kernel's own."""
        events = [event.type for event in await self.system.events() if event.stream == f"call/{id}"]
        return [name for name in events if name.startswith("Call")]


def play(script: Callable[[World, Outside], Awaitable[T]], policy: Policy | None = None, **tools: Any) -> T:
    """A script against a fresh system with the toys."""

    async def main() -> T:
        outside = Outside()
        held = toys(outside, **tools)
        async with System(plugin(tool_effects(held))) as system:
            world = World(system)
            await world.prepare(held, policy)
            return await script(world, outside)

    return run_virtual(main())
