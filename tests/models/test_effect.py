"""The effect `model-call`, as a conversation asks for it: over a host in memory, with a live plane that is a list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from actors import Effect, Kind, Message, Outcome, Plugin
from actors.core.kind import Attempt
from actors.models.port import MODEL_CALL, Chunk, LiveChunk, ModelCall
from events.errors import BusUnavailable
from events.models import ModelRequest, ModelResult
from infra.memory.system import System, run_system
from infra.models.calling import Caller
from infra.models.effects import model_effects
from infra.models.scripted import Scripted
from infra.models.showing import shown
from tests.models.said import hello

ATTEMPT = Attempt("e", "k", "1.1", "acme", "conversation/ab", None)


class Plane:
    """A live plane: keeps what is sent, or has no room."""

    def __init__(self, full: bool = False) -> None:
        self.sent: list[tuple[str, LiveChunk]] = []
        self.full = full

    def send(self, subject: str, data: bytes) -> None:
        if self.full:
            raise BusUnavailable("no room")
        self.sent.append((subject, msgspec.json.decode(data, type=LiveChunk)))


def call(model: str = "scripted:echo", **more: Any) -> ModelCall:
    return ModelCall("c", "conversation/ab", 7, 3, 1, [model], hello("some words to say"), **more)


async def test_the_result_has_the_answer_and_the_live_plane_has_its_pieces() -> None:
    plane = Plane()
    (kind,) = model_effects(Caller([Scripted()]), shown(plane))  # pyright: ignore
    result = await kind.perform(call(), ATTEMPT)
    assert (result.answer.text, result.model, result.chunks) == ("some words to say", "scripted:echo", len(plane.sent))
    assert {subject for subject, _ in plane.sent} == {"live.acme.conversation.ab.chunk"}
    assert "".join(chunk.text for _, chunk in plane.sent) == "some words to say"
    assert {(c.turn, c.step, c.attempt) for _, c in plane.sent} == {(7, 3, 1)}
    assert [c.done for _, c in plane.sent][-1] is True


async def test_a_call_that_is_not_streamed_shows_nothing() -> None:
    plane = Plane()
    (kind,) = model_effects(Caller([Scripted()]), shown(plane))  # pyright: ignore
    result = await kind.perform(call(stream=False), ATTEMPT)
    assert (result.answer.text, result.chunks, plane.sent) == ("some words to say", 0, [])


async def test_a_failure_is_a_result() -> None:
    (kind,) = model_effects(Caller([Scripted()]), shown(Plane()))  # pyright: ignore
    result = await kind.perform(call("scripted:none"), ATTEMPT)
    assert (result.answer, result.failure.kind) == (None, "unavailable")


async def test_a_bus_without_room_does_not_hold_up_an_answer() -> None:
    (kind,) = model_effects(Caller([Scripted()]), shown(Plane(full=True)))  # pyright: ignore
    assert (await kind.perform(call(), ATTEMPT)).answer is not None


async def test_a_call_that_is_cut_off_shows_nothing_more() -> None:
    plane = Plane()
    (kind,) = model_effects(Caller([Endless()]), shown(plane))  # pyright: ignore
    task = asyncio.create_task(kind.perform(call("endless:m"), ATTEMPT))
    while not plane.sent:
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    count = len(plane.sent)
    for _ in range(10):
        await asyncio.sleep(0.01)
    assert len(plane.sent) == count


async def test_the_kind_is_one_that_is_never_repeated_and_has_no_limit_of_its_own() -> None:
    (kind,) = model_effects(Caller([Scripted()]), shown(Plane()))  # pyright: ignore
    assert (kind.name, kind.effect_class, kind.attempts, kind.timeout) == (MODEL_CALL, "irreversible", 1, None)
    result = await kind.perform(kind.decode(msgspec.json.encode(call())), ATTEMPT)
    assert msgspec.json.decode(msgspec.json.encode(result), type=ModelResult) == result


class Endless(Scripted):
    """A provider that does not stop."""

    name = "endless"

    async def stream(self, model: str, request: ModelRequest) -> AsyncIterator[Chunk]:
        while True:
            yield Chunk("more ")
            await asyncio.sleep(0.001)


class Question(msgspec.Struct, frozen=True):
    model: str


class Asked(msgspec.Struct, frozen=True):
    model: str


class Heard(msgspec.Struct, frozen=True):
    status: str
    text: str


class Talk(msgspec.Struct):
    heard: list[Heard] = []


def decide(_state: Talk, message: Message) -> list[Any]:
    match message.data:
        case Question(model):
            wanted = ModelCall("c", "talk/a", 1, 1, 1, [model], hello("what now"))
            return [Asked(model), Effect(MODEL_CALL, wanted)]
        case Outcome(status=status, result=result):
            answer = (result or {}).get("answer") or {}
            return [Heard(status, answer.get("text", ""))]
        case _:
            return []


def evolve(state: Talk, event: Any) -> Talk:
    return Talk([*state.heard, event]) if isinstance(event, Heard) else state


TALK = Kind(
    "talk", state=Talk, decide=decide, evolve=evolve, messages=[Question, Outcome], events=[Asked, Heard]
)  # fmt: skip


def talk(*providers: Any) -> Plugin:
    return Plugin(kinds=[TALK], effects=model_effects(Caller(providers), lambda *_: None))


async def heard(system: System) -> list[Any]:
    while not (found := (await system.state("talk/a"))["heard"]):
        await asyncio.sleep(0.01)
    return found


def test_an_actor_gets_the_answer_as_an_outcome() -> None:
    async def script(system: System) -> list[Any]:
        await system.ask("talk/a", Question("scripted:echo"))
        return await heard(system)

    assert run_system(talk(Scripted()), script) == [{"status": "succeeded", "text": "what now"}]


def test_a_call_whose_host_is_lost_is_unknown_and_not_made_again() -> None:
    calls: list[str] = []

    class Slow(Scripted):
        name = "slow"

        async def stream(self, model: str, request: ModelRequest) -> AsyncIterator[Chunk]:
            calls.append(model)
            await asyncio.Event().wait()
            yield Chunk()

    async def script(system: System) -> list[Any]:
        await system.ask("talk/a", Question("slow:m"))
        while not calls:
            await asyncio.sleep(0.01)
        (host, *_) = [host for host in system.hosts if host.owned]
        await system.lose_host(host)
        await system.add_host()
        return await heard(system)

    assert run_system(talk(Slow({})), script) == [{"status": "unknown", "text": ""}]
    assert calls == ["m"]
