"""A place where conversations are tested: an agent, a model that is a function, tools that count what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from actors.agents.agent import agent
from actors.agents.agent_state import AGENT_START, AgentChecked, StartAgent
from actors.agents.conversation.guarding import GUARD_CHECK, GuardCheck, GuardChecked
from actors.agents.conversation.kind import conversation_kind
from actors.agents.conversation.soundness import problems
from actors.agents.conversation.state import Conversation
from actors.agents.definition.plan import AgentDefinition, encode_definition, hash_of
from actors.agents.messages import OpenConversation, Post, PublishAgent
from actors.agents.variables import variables
from actors.agents.whatif import whatif
from actors.budget import budget
from actors.channels.port import CHANNEL_DELIVER, Capabilities, Channel, Deliver, Receipt
from actors.channels.rendering import said
from actors.channels.table import CHANNELS
from actors.core.kind import Attempt, EffectKind, Kind, Plugin
from actors.core.outputs import Effect, Outcome, Reply, Tell
from actors.models.port import MODEL_CALL, ModelCall
from actors.testing.clock import run_virtual
from actors.tools.messages import CallFinished, CallWaits, DropCall, RequestCall
from events.address import DEFAULT_TENANT
from events.conversations import CONVERSATION_EVENTS
from events.envelope import Event
from events.models import Cost, ModelAnswer, ModelFailure, ModelRequest, ModelResult, ToolSpec, ToolUse, Usage
from events.registry import Registry
from infra.memory.stage import Stage

Model = Callable[[ModelRequest], ModelAnswer | ModelFailure]

TOOLS = [
    ToolSpec("look", "Look something up.", {"type": "object", "properties": {"what": {"type": "string"}}}),
    ToolSpec("write", "Write something.", {"type": "object", "properties": {"text": {"type": "string"}}}),
]
USED = Usage(10, 5)
KINDS = Registry(CONVERSATION_EVENTS)


def definition(**changes: Any) -> AgentDefinition:
    """Of the agent `ada`."""
    plain: dict[str, Any] = {"instructions": "You are Ada.", "models": ["fake:one"], "tool_specs": TOOLS}
    return AgentDefinition("ada", **{**plain, **changes})


def says(text: str, *uses: tuple[str, str]) -> ModelAnswer:
    """An answer."""
    tools = [ToolUse(f"u{n}", name, arguments) for n, (name, arguments) in enumerate(uses)]
    return ModelAnswer(text, tools, "tools" if tools else "stop", USED)


def echo(request: ModelRequest) -> ModelAnswer:
    """Repeats what was said; `use NAME ARGUMENTS` lines make it use tools first."""
    last = request.messages[-1]
    if last.role == "tool":
        results = [m.text for m in request.messages if m.role == "tool"]
        return says("tools said " + ", ".join(results))
    uses = [line.split(" ", 2) for line in last.text.splitlines() if line.startswith("use ")]
    return says("", *((name, arguments) for _, name, arguments in uses)) if uses else says(f"you said {last.text}")


class World:
    """What is outside, and what was done to it."""

    def __init__(self, model: Model = echo) -> None:
        self.model = model
        self.asked: list[ModelCall] = []
        self.done: dict[str, int] = {}
        """How often each tool call was performed."""
        self.results: dict[str, Any] = {}
        self.sent: list[Deliver] = []
        self.checked: list[GuardCheck] = []
        self.busy = 0
        self.cost: str | None = "0.01"
        self.seconds: Callable[[ModelCall], float] = lambda _call: 0.5
        self.tool_seconds = 0.25
        self.verdicts: list[Any] = []
        self.deliveries = "keyed"
        self.undeliverable: Callable[[Deliver], str] = lambda _deliver: ""

    async def ask(self, call: ModelCall, _attempt: Attempt) -> ModelResult:
        self.asked.append(call)
        await self._pass(self.seconds(call))
        answer = self.model(call.request)
        if isinstance(answer, ModelFailure):
            return ModelResult(call.models[0], failure=answer)
        return ModelResult(call.models[0], answer, cost=Cost(self.cost), started=1, ended=2)

    async def perform(self, request: RequestCall, attempt: Attempt) -> str:
        self.done[attempt.actor] = self.done.get(attempt.actor, 0) + 1
        self.results[attempt.actor] = f"{request.tool}({request.arguments})"
        await self._pass(self.tool_seconds)
        return self.results[attempt.actor]

    async def reconcile(self, _request: RequestCall, attempt: Attempt) -> tuple[str, Any]:
        """The other side knows what it did."""
        if attempt.actor not in self.results:
            return await self.perform(_request, attempt) and ("succeeded", self.results[attempt.actor])
        return "succeeded", self.results[attempt.actor]

    async def deliver(self, request: Deliver, _attempt: Attempt) -> Receipt:
        await self._pass(0.1)
        if problem := self.undeliverable(request):
            raise (ConnectionError if problem == "lost" else ValueError)(problem)
        if (request.conversation, request.number) not in {(d.conversation, d.number) for d in self.sent}:
            self.sent.append(request)  # it knows idempotency keys
        return Receipt([f"m{request.number}"])

    async def check(self, request: GuardCheck, _attempt: Attempt) -> GuardChecked:
        self.checked.append(request)
        return GuardChecked(self.verdicts)

    async def start(self, _request: StartAgent, _attempt: Attempt) -> AgentChecked:
        return AgentChecked([])

    async def _pass(self, seconds: float) -> None:
        self.busy += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.busy -= 1

    def effects(self) -> list[EffectKind]:
        return [
            EffectKind(MODEL_CALL, request=ModelCall, perform=self.ask, result=ModelResult, timeout=3600),
            EffectKind("tool-do", request=RequestCall, perform=self.perform, reconcile=self.reconcile, timeout=3600),
            EffectKind(
                CHANNEL_DELIVER,
                request=Deliver,
                perform=self.deliver,
                result=Receipt,
                effect_class=self.deliveries,
                attempts=1,
            ),
            EffectKind(GUARD_CHECK, request=GuardCheck, perform=self.check, effect_class="pure"),
            EffectKind(AGENT_START, request=StartAgent, perform=self.start, effect_class="pure"),
        ]


# -- a call actor, as far as conversations see it


class CallBegun(msgspec.Struct, frozen=True):
    request: RequestCall
    asker: str


class CallHeld(msgspec.Struct, frozen=True):
    pass


class CallDone(msgspec.Struct, frozen=True):
    status: str


class Agree(msgspec.Struct, frozen=True):
    pass


class Call(msgspec.Struct):
    request: RequestCall | None = None
    asker: str = ""
    held: bool = False
    status: str = ""


def decide_call(state: Call, message: Any) -> list[Any]:
    data = message.data
    match data:
        case RequestCall() if state.request is None:
            begun = CallBegun(data, message.sender)
            if "agree" in data.arguments:
                told = CallWaits(data.ref, message.to, f"approval/{message.to.partition('/')[2]}", "d")
                return [begun, CallHeld(), Tell(message.sender, told)]
            return [begun, Effect("tool-do", data, ref="do")]
        case Agree() if state.held:
            return [CallBegun(state.request, state.asker), Effect("tool-do", state.request, ref="do"), Reply(True)]
        case Outcome() if not state.status and state.request is not None:
            failed = data.status != "succeeded"
            text, status = (data.error, "failed") if failed else (data.result, "succeeded")
            finished = CallFinished(state.request.ref, message.to, state.request.tool, status, text)
            return [CallDone(status), Tell(state.asker, finished)]
        case DropCall() if not state.status and state.request is not None:
            return [CallDone("cancelled")]
        case _:
            return []


def evolve_call(state: Call, event: Any) -> Call:
    match event:
        case CallBegun(request, asker):
            return Call(request, asker)
        case CallHeld():
            return Call(state.request, state.asker, True)
        case _:
            return Call(state.request, state.asker, False, event.status)


call = Kind(
    "call", state=Call, decide=decide_call, evolve=evolve_call, messages=[RequestCall, DropCall, Outcome, Agree],
    events=[CallBegun, CallHeld, CallDone],
)  # fmt: skip


class Told(msgspec.Struct, frozen=True):
    """A listener heard something."""

    data: Any


class Heard(msgspec.Struct):
    said: list[Any] = []


class PostTo(msgspec.Struct, frozen=True):
    """Let the listener post."""

    conversation: str
    post: Post


def decide_listener(_state: Heard, message: Any) -> list[Any]:
    data = message.data
    if isinstance(data, PostTo):
        return [Told("posted"), Tell(data.conversation, data.post)]
    return [Told(msgspec.to_builtins(data))]


def evolve_listener(state: Heard, event: Told) -> Heard:
    return Heard([*state.said, event.data])


def listener() -> Kind:
    from actors.agents.messages import ConversationReplied

    return Kind("listener", state=Heard, decide=decide_listener, evolve=evolve_listener, events=[Told],
                messages=[PostTo, ConversationReplied])  # fmt: skip


def _telegram(deliver: Deliver, can: Capabilities) -> list[Any]:
    """Messages in the way of a chat service, with a keyboard below the last one."""
    return [
        {"text": one.text, "keyboard": [f"{b.action} {b.approval} {b.digest}" for b in one.buttons]}
        for one in said(deliver, can)
    ]


TELEGRAM = Channel(Capabilities(text=40, buttons=True), _telegram)
"""A pushed channel: one entry in the table, and its performer."""

conversation = conversation_kind(channels={**CHANNELS, "telegram": TELEGRAM})


class Room(Stage):
    """A host, or several in a row, with an agent and whoever talks to it."""

    def __init__(self, world: World, seed: int = 0) -> None:
        super().__init__([], lambda: world.busy > 0, seed)
        self.world = world
        self.plugin = Plugin(
            kinds=[agent, conversation, variables, budget, whatif, call, listener()], effects=world.effects()
        )  # fmt: skip

    async def publish(self, made: AgentDefinition) -> None:
        """Make it the newest version of its agent."""
        message = PublishAgent(msgspec.Raw(encode_definition(made)), hash_of(made))
        await self.insist(f"agent/{made.name}", message)
        await self.settle()

    async def open(self, id: str = "c", **fields: Any) -> Any:
        return await self.insist(f"conversation/{id}", OpenConversation("ada", **fields))

    async def say(self, text: str, id: str = "c", key: str = "", **fields: Any) -> Any:
        """Write, and be told the number and turn."""
        self.runs += 1
        post = Post(key or f"m{self.runs}", text, "ada", **fields)
        return await self.insist(f"conversation/{id}", post)

    async def quiet(self, id: str = "c", seconds: float = 5_000) -> Conversation:
        """Let time pass until no turn is under way and nothing is to be sent; the state then is sound."""
        deadline = self.seconds + seconds
        while True:
            seen = self.written
            state = await self.talk(id)
            found = problems(state)
            assert not found, found
            if state.turn is None and not state.waiting and not state.outbox:
                return state
            if not await self.more(seen, deadline):
                raise AssertionError(f"nothing happens any more: {state}")

    async def until(self, type: str, count: int = 1, seconds: float = 5_000) -> Event:
        """Let time pass until so many events of a type are there; the last of them."""
        deadline = self.seconds + seconds
        while True:
            seen = self.written
            found = [e for e in await self.events() if e.type == type]
            if len(found) >= count:
                return found[count - 1]
            if not await self.more(seen, deadline):
                raise AssertionError(f"there are {len(found)} {type}, and nothing happens any more")

    async def talk(self, id: str = "c") -> Conversation:
        """The state of a conversation, typed."""
        return msgspec.convert(await self.state(f"conversation/{id}"), Conversation)

    async def log(self, id: str = "c") -> list[Event]:
        """The events of a conversation."""
        return [e for e in await self.events() if e.stream == f"conversation/{id}"]

    async def facts(self, id: str = "c") -> list[Any]:
        """Its own events, typed."""
        return [KINDS.decode(e.type, e.schema, e.data) for e in await self.log(id) if e.type in NAMES]

    async def only(self, *types: type[Any], id: str = "c") -> list[Any]:
        """Its events of some types."""
        return [fact for fact in await self.facts(id) if isinstance(fact, types)]


NAMES = {t.name for t in KINDS}


def run(
    script: Callable[[Room], Awaitable[Any]],
    *,
    world: World | None = None,
    seed: int = 0,
    strike: tuple[int, bool] | None = None,
    boundaries: list[int] | None = None,
    agent: AgentDefinition | None = None,
) -> Any:
    """Run a script in a room with the agent `ada`."""

    async def main() -> Any:
        async with Room(world or World(), seed) as room:
            await room.publish(agent or definition())
            room.arm(strike)
            result = await script(room)
            await room.settle()
            if boundaries is not None:
                boundaries.extend(room.boundaries)
            assert room.struck, "the script did not get there: it must do the same each time"
            return result

    return run_virtual(main())


TENANT = DEFAULT_TENANT
