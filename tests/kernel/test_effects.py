"""Effects are honest: recorded before, during and after; repeated only where that is allowed; unknown when unknown."""

from __future__ import annotations

import asyncio
from typing import Any

from actors import Attempt, EffectKind
from actors.core.host import Host
from infra.memory.system import System, run_system
from tests.kernel.counter import Call, Line, plugin


class World:
    """An outside service that remembers every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.fail = 0
        self.hang = False

    async def perform(self, request: Line, attempt: Attempt) -> Any:
        self.calls.append((request.text, attempt.key, attempt.number))
        if self.hang:
            await asyncio.get_running_loop().create_future()
        if len(self.calls) <= self.fail:
            raise RuntimeError("no")
        return request.text.upper()

    async def reconcile(self, request: Line, attempt: Attempt) -> Any:
        return ("succeeded", f"found {request.text}")

    def kind(self, effect_class: str, **options: Any) -> EffectKind:
        return EffectKind("echo", request=Line, perform=self.perform, effect_class=effect_class, **options)


async def lose_the_host(system: System) -> Host:
    """Whatever is under way is lost with its host; another one takes over."""
    await system.settle()
    await system.lose_host(system.hosts[0])
    host = await system.add_host()
    await system.advance(10)
    return host


async def notes(system: System, address: str = "counter/a") -> list[str]:
    await system.settle()
    return (await system.state(address))["notes"]


def test_the_outcome_comes_back_as_a_message() -> None:
    world = World()

    async def script(system: System) -> None:
        await system.ask("counter/a", Call("hi"))
        assert await notes(system) == ["call hi", "hi succeeded HI"]
        row = await system.store.effect((await system.events())[0].id[:32] + "0001")
        assert row is not None
        assert (row.status, row.delivered) == ("succeeded", True)

    run_system(plugin(world.kind("keyed")), script)
    assert len(world.calls) == 1


def test_a_failing_keyed_call_is_repeated_with_the_same_key_and_another_number() -> None:
    world = World()
    world.fail = 2

    async def script(system: System) -> None:
        await system.ask("counter/a", Call("hi"))
        await system.advance(5)
        assert await notes(system) == ["call hi", "hi succeeded HI"]

    run_system(plugin(world.kind("keyed")), script)
    assert len({key for _, key, _ in world.calls}) == 1
    assert len({number for _, _, number in world.calls}) == 3


def test_an_irreversible_call_that_fails_is_not_repeated() -> None:
    world = World()
    world.fail = 9

    async def script(system: System) -> None:
        await system.ask("counter/a", Call("hi"))
        await system.advance(5)
        assert await notes(system) == ["call hi", "hi failed RuntimeError: no"]

    run_system(plugin(world.kind("irreversible")), script)
    assert len(world.calls) == 1


def test_an_irreversible_call_lost_with_its_host_is_unknown_and_never_repeated() -> None:
    world = World()
    world.hang = True

    async def script(system: System) -> None:
        await system.ask("counter/a", Call("hi"))
        await lose_the_host(system)
        (_, last) = await notes(system)
        assert last.startswith("hi unknown the host was lost")
        assert "EffectUnknown" in [e.type for e in await system.events()]

    run_system(plugin(world.kind("irreversible")), script)
    assert len(world.calls) == 1


def test_an_unknown_effect_is_settled_by_a_persons_word_once() -> None:
    world = World()
    world.hang = True

    async def script(system: System) -> None:
        await system.ask("counter/a", Call("hi"))
        host = await lose_the_host(system)
        effect = (await system.events())[0].id[:32] + "0001"
        await host.resolve("default", effect, "succeeded", b'{"result":"seen it"}', "user:ada", "called them")
        assert (await notes(system))[-1] == "hi succeeded seen it"
        assert [e.type for e in await system.events()][-2:] == ["EffectResolved", "Noted"]

    run_system(plugin(world.kind("irreversible")), script)


def test_a_reconciler_finds_out_what_became_of_a_lost_call() -> None:
    world = World()
    world.hang = True

    async def script(system: System) -> None:
        await system.ask("counter/a", Call("hi"))
        await lose_the_host(system)
        assert await notes(system) == ["call hi", "hi succeeded found hi"]

    run_system(plugin(world.kind("irreversible", reconcile=world.reconcile)), script)
    assert len(world.calls) == 1


def test_a_keyed_call_lost_with_its_host_is_made_again_with_the_same_key() -> None:
    world = World()
    world.hang = True

    async def script(system: System) -> None:
        await system.ask("counter/a", Call("hi"))
        await system.settle()
        await system.lose_host(system.hosts[0])
        world.hang = False
        await system.add_host()
        await system.advance(10)
        assert await notes(system) == ["call hi", "hi succeeded HI"]

    run_system(plugin(world.kind("keyed")), script)
    assert len(world.calls) == 2
    assert len({key for _, key, _ in world.calls}) == 1
    assert len({number for _, _, number in world.calls}) == 2
