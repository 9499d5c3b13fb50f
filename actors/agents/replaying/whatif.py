"""What if: the same messages, answered by another model, by other instructions, or under another policy.

Models are asked through a function; tools are not called: the result of a call is taken from the record where the very
same call (tool and canonical arguments) stands in it, and else it ends there and says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from actors.agents.conversation.fold import add, evolve
from actors.agents.conversation.state import Conversation
from actors.agents.conversation.tool_uses import use_digest
from actors.agents.definition.plan import AgentDefinition, decode_definition, hash_of
from actors.agents.messages import CheckTurn
from actors.agents.prompt.explain import typed
from actors.agents.replaying.driver import Decide, Driver
from actors.agents.replaying.inputs import grant
from actors.agents.replaying.transcript import Played, fold_turn, replay
from actors.core.outputs import Ask, Effect, Tell
from actors.models.port import MODEL_CALL, ModelCall
from actors.tools.messages import CallFinished, RequestCall
from events.conversations import (
    AgentAdopted,
    MessageReceived,
    ModelAsked,
    ToolAnswered,
    ToolAsked,
    TurnAdmitted,
    TurnStarted,
    VariablesRead,
)
from events.envelope import Event
from events.errors import NotFound
from events.models import ModelResult

AskModel = Callable[[ModelCall, ModelAsked], Awaitable[ModelResult | None]]
"""Asks a model, which may cost the estimate of the fact that goes with it. None: the call is lost, and nobody knows
what came of it. Raises NotAsked."""
Judge = Callable[[RequestCall], str]
"""What another policy says of a call: why it is denied, or "" when it is allowed (or would ask people, who agreed)."""


class NotAsked(Exception):
    """No model is asked: why."""


LONGEST = 10_000
"""Answers one turn may need before it is given up."""


class Changes(msgspec.Struct, frozen=True):
    """What is to be different. None: as recorded. `judge` is another policy."""

    models: list[str] | None = None
    instructions: str | None = None
    temperature: float | None = None
    definition: AgentDefinition | None = None
    judge: Judge | None = None

    def applied(self, recorded: AgentDefinition) -> AgentDefinition:
        """The definition turns are taken by."""
        found = self.definition or recorded
        changed = {
            name: value
            for name in ("models", "instructions", "temperature")
            if (value := getattr(self, name)) is not None
        }
        return msgspec.structs.replace(found, **changed) if changed else found


class Stopped(msgspec.Struct, frozen=True):
    """Where it could not go on: a tool call that is not in the record, or a model that must not be asked."""

    turn: int
    step: int
    tool: str
    arguments: str
    why: str


class TurnDifference(msgspec.Struct, frozen=True):
    """A turn as it was and as it would have been. `path` are its tools in order."""

    turn: int
    messages: list[str]
    before: Played
    after: Played
    same_answer: bool
    same_path: bool
    cost: str | None
    """Dollars more (or less, below zero); None when one of them is unknown."""


class WhatIf(msgspec.Struct, frozen=True):
    """What came of it, turn by turn; `stopped` when a turn could not be brought to its end."""

    turns: list[TurnDifference]
    cost_before: str | None
    cost_after: str | None
    stopped: Stopped | None = None


class _Record:
    """What is known of a conversation: tool results by turn and call, definitions and variables by turn."""

    def __init__(self, facts: list[Any]) -> None:
        self.posts: dict[int, MessageReceived] = {}
        self.turns: list[TurnStarted] = []
        self.versions: dict[int, int] = {}
        self.definitions: dict[int, AgentDefinition] = {}
        self.variables: dict[tuple[int, str], dict[str, Any]] = {}
        self.results: dict[tuple[int, str], list[ToolAnswered]] = {}
        self.anywhere: dict[str, list[ToolAnswered]] = {}
        asked: dict[tuple[int, int], str] = {}
        for fact in facts:
            match fact:
                case MessageReceived():
                    self.posts[fact.number] = fact
                case TurnStarted():
                    self.turns.append(fact)
                case TurnAdmitted():
                    self.versions[fact.turn] = fact.version
                case AgentAdopted():
                    self.definitions[fact.version] = decode_definition(fact.definition)
                case VariablesRead():
                    self.variables[fact.turn, fact.scope] = fact.values
                case ToolAsked():
                    asked[fact.turn, fact.ordinal] = fact.digest
                case ToolAnswered():
                    digest = asked.get((fact.turn, fact.ordinal), "")
                    self.results.setdefault((fact.turn, digest), []).append(fact)
                    self.anywhere.setdefault(digest, []).append(fact)
                case _:
                    pass

    def result(self, turn: int, request: RequestCall) -> ToolAnswered | None:
        """What the very same call gave: in this turn, else in another. The last one is given again and again."""
        digest = use_digest(request.tool, request.arguments)
        for known in (self.results.get((turn, digest)), self.anywhere.get(digest)):
            if known:
                return known.pop(0) if len(known) > 1 else known[0]
        return None


async def whatif(
    events: Iterable[Event], changes: Changes, ask_model: AskModel, decide: Decide, from_turn: int = 1
) -> WhatIf:
    """Answer the messages of a conversation again, turn by turn. `decide` is that of `conversation_kind()`.

    Raises NotFound when there is no such turn.
    """
    stream = list(events)
    recorded = list(typed(stream))
    record = _Record([fact for _, fact in recorded])
    begins = [n for n, (_, fact) in enumerate(recorded) if isinstance(fact, TurnStarted) and fact.turn == from_turn]
    if not begins:
        raise NotFound(
            f"there is no turn {from_turn} in this conversation",
            hint="`GET /v1/conversations/CONVERSATION` has its turns",
        )
    state = Conversation()
    for _, fact in recorded[: begins[0]]:
        state = evolve(state, fact)
    state.waiting = []
    state.outbox = []
    driver = Driver(decide, state, stream[0].stream, stream[0].tenant)
    before = {played.turn: played for played in replay(stream).turns}
    found: list[TurnDifference] = []
    for turn in record.turns:
        if turn.turn < from_turn:
            continue
        stopped, after = await _Turn(driver, record, changes, ask_model, turn).play()
        was = before[turn.turn]
        found.append(_difference(was, after))
        if stopped is not None:
            return WhatIf(found, *_sums(found), stopped)
    return WhatIf(found, *_sums(found))


def _sums(found: list[TurnDifference]) -> tuple[str | None, str | None]:
    before: str | None = "0"
    after: str | None = "0"
    for one in found:
        before, after = add(before, one.before.cost), add(after, one.after.cost)
    return before, after


def _difference(was: Played, now: Played) -> TurnDifference:
    more = None if was.cost is None or now.cost is None else add(now.cost, f"-{was.cost}" if was.cost != "0" else "0")
    return TurnDifference(was.turn, was.messages, was, now, was.text == now.text, was.path == now.path, more)


class _Turn:
    """One turn, played to its end."""

    def __init__(
        self, driver: Driver, record: _Record, changes: Changes, ask_model: AskModel, turn: TurnStarted
    ) -> None:
        self.driver = driver
        self.record = record
        self.changes = changes
        self.ask_model = ask_model
        self.recorded = turn
        self.messages = [record.posts[number] for number in turn.messages]
        self.facts_before = len(driver.facts)

    async def play(self) -> tuple[Stopped | None, Played]:
        driver = self.driver
        driver.asked.clear()
        for message in self.messages:
            received = msgspec.structs.replace(message, number=driver.state.messages + 1, asker="")
            driver.state = evolve(driver.state, received)
        # One turn answers all of these, whatever the policy was when they came.
        policy, driver.state.policy = driver.state.policy, "merge"
        driver.give(CheckTurn(0), driver.address)
        driver.state.policy = policy
        stopped = None
        for _ in range(LONGEST):
            if driver.state.turn is None:
                break
            stopped = await self._answer_one()
            if stopped is not None:
                break
        return stopped, self._played()

    async def _answer_one(self) -> Stopped | None:
        driver = self.driver
        if not driver.asked:
            turn = driver.state.turn
            return Stopped(self.recorded.turn, turn.step if turn is not None else 0, "", "", "nothing is asked")
        wanted = driver.asked.pop(0)
        match wanted:
            case Ask():
                self._reply(wanted)
            case Effect() if wanted.kind == MODEL_CALL:
                return await self._model(wanted)
            case Effect():
                driver.settle(wanted, "succeeded")
            case Tell() if isinstance(wanted.data, RequestCall):
                return self._tool(wanted.data, wanted.to)
            case _:
                pass
        return None

    async def _model(self, effect: Effect) -> Stopped | None:
        call: ModelCall = effect.data
        asked = next(f for f in reversed(self.driver.facts) if isinstance(f, ModelAsked) and f.call == call.call)
        try:
            result = await self.ask_model(call, asked)
        except NotAsked as why:
            return Stopped(self.recorded.turn, call.step, "", "", str(why))
        if result is None:
            self.driver.settle(effect, "unknown", None, "its host was lost")
        else:
            self.driver.settle(effect, "succeeded", result)
        return None

    def _reply(self, ask: Ask) -> None:
        what, _, rest = ask.ref.partition(":")
        if what == "admit":
            number = self.record.versions.get(self.recorded.turn, 0)
            known = self.record.definitions
            recorded = known.get(number) or self.driver.state.definition or next(iter(known.values()))
            made = self.changes.applied(recorded)
            self.driver.answer(
                ask, {"admitted": True, "version": number, "hash": hash_of(made), "definition": made}
            )  # fmt: skip
        elif what == "var":
            scope = rest.partition(":")[2]
            self.driver.answer(ask, {"values": self.record.variables.get((self.recorded.turn, scope), {})})
        else:
            self.driver.asked.insert(0, ask)
            grant(self.driver, granted=True)

    def _tool(self, request: RequestCall, to: str) -> Stopped | None:
        denied = self.changes.judge(request) if self.changes.judge is not None else ""
        if denied:
            finished = CallFinished(request.ref, to, request.tool, "denied", denied, "trusted/public", stage="policy")
            self.driver.give(finished, to)
            return None
        known = self.record.result(self.recorded.turn, request)
        turn = self.driver.state.turn
        if known is None:
            step = turn.step if turn is not None else 0
            return Stopped(self.recorded.turn, step, request.tool, request.arguments, "this call is not in the record")
        finished = CallFinished(
            request.ref, to, request.tool, known.status, known.text, known.label, citations=known.citations
        )  # fmt: skip
        self.driver.give(finished, to)
        return None

    def _played(self) -> Played:
        turns: dict[int, Played] = {}
        texts = {number: post.text for number, post in self.record.posts.items()}
        for fact in self.driver.facts[self.facts_before :]:
            fold_turn(turns, texts, fact)
        return list(turns.values())[-1]
