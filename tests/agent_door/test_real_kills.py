"""A conversation on two hosts that are killed (SIGKILL) at places of the log, from a message accepted to its answer
delivered: no message is lost, no turn is taken twice, no tool is performed twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from events.envelope import Event
from events.errors import Refused
from events.store import EventStore
from gateway.demo.host import HostProcess
from gateway.demo.plan import Step
from gateway.demo.traffic import Traffic
from gateway.proof import LogProof, verdict, witness
from infra.postgres.store import open_store
from tests.servers import Nats

WORKSPACE = Path(__file__).with_name("killed_place")
PATIENCE = 120.0
SEED = 5
KILLS = 20
AT_ONCE = 4
"""Kills in one conversation."""

SAID = ["hello", "ring one and ring two", "post three", "ring four", "goodbye"]

pytestmark = pytest.mark.timeout(900)


class Evening:
    """Two hosts and a person who talks to the bee through either of them."""

    def __init__(self, store: EventStore, hosts: Sequence[HostProcess], traffic: Traffic, bell: Path) -> None:
        self.store = store
        self._hosts = hosts
        self._traffic = traffic
        self._bell = bell

    async def ready(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not any(e.type == "AgentMoved" and b"ready" in e.data for e in await self.store.read(0, 10_000)):
                await asyncio.sleep(0.05)

    async def talk(self, name: str, kills: Sequence[int] = ()) -> list[Event]:
        """Say everything at once and agree to what is asked; the events of the conversation and of its calls."""
        began = await self.store.head()
        attack = asyncio.create_task(self._attack(began, kills))
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*(self._say(name, n, text) for n, text in enumerate(SAID)))
                await self._agree(name, began)
                while Counter(e.type for e in await self._events(name, began))["TurnEnded"] < len(SAID):
                    await asyncio.sleep(0.05)
                await attack
                while await self._owed():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            last = [f"{e.position - began} {e.stream} {e.type}" for e in (await self._events(name, began))[-15:]]
            raise AssertionError("\n".join([f"it does not end, killed at {kills}", *last])) from None
        finally:
            attack.cancel()
            with suppress(asyncio.CancelledError):
                await attack
        return await self._events(name, began)

    async def _say(self, name: str, n: int, text: str) -> None:
        post = {"id": str(n), "text": text, "agent": "bee"}
        answer = await self._traffic.send(Step(f"conversation/{name}", "Post", post, f"{name}-{n}"))
        assert answer["outcome"] == "handled", answer

    async def _agree(self, name: str, began: int) -> None:
        while True:
            for event in await self.store.read(began, 100_000):
                if event.type == "ApprovalRequested" and event.stream.startswith(f"approval/{name}."):
                    with suppress(Refused):  # it may be that somebody who was killed had passed it on
                        await self._traffic.send(Step(event.stream, "Approve", {}, f"{event.stream}-yes"))
                    return
            await asyncio.sleep(0.02)

    async def _events(self, name: str, began: int) -> list[Event]:
        own = (f"conversation/{name}", f"call/{name}.", f"approval/{name}.")
        return [e for e in await self.store.read(began, 100_000) if e.stream.startswith(own)]

    async def _owed(self) -> bool:
        """Whether anything still waits for anybody."""
        every = range(64)
        mail, _ = await self.store.mail(every, 0, 1)
        return bool(mail or await self.store.effects(every, "", 1))

    async def _attack(self, began: int, kills: Sequence[int]) -> None:
        random = Random(f"{SEED}{list(kills)}")
        for at in sorted(kills):
            while await self.store.head() < began + at:
                await asyncio.sleep(0.001)
            victim = random.choice(self._hosts)
            await victim.kill()
            victim.start()

    def performed(self, name: str) -> Counter[str]:
        """How often each call was performed, as the tools themselves noted."""
        lines = self._bell.read_text().splitlines() if self._bell.exists() else []
        return Counter(line.split()[1] for line in lines if f"call/{name}." in line)


@pytest.fixture
async def evening(postgres_url: str, nats_server: Nats, tmp_path: Path) -> AsyncIterator[Evening]:
    bell = tmp_path / "bell.txt"
    hosts = [
        HostProcess(tmp_path / f"host-{n}", database_url=postgres_url, nats_url=nats_server.host_url,
                    relay_url=nats_server.url, workspace=WORKSPACE, settings={"THESPIS_TEST_BELL": str(bell)})
        for n in (1, 2)
    ]  # fmt: skip
    try:
        for host in hosts:
            host.start()
        await asyncio.gather(*(host.ready() for host in hosts))
        async with (
            open_store(postgres_url, migrated=True) as store,
            Traffic([host.url for host in hosts], timeout=2.0) as traffic,
        ):
            made = Evening(store, hosts, traffic, bell)
            await made.ready()
            yield made
    finally:
        await asyncio.gather(*(host.kill() for host in hosts if host.running))


def read(events: Sequence[Event], type: str) -> list[Any]:
    return [msgspec.json.decode(event.data) for event in events if event.type == type]


def sound(evening: Evening, name: str, events: Sequence[Event], kills: Sequence[int]) -> None:
    """Each message received once, each turn taken and answered once, each call performed at most once."""
    assert sorted(m["text"] for m in read(events, "MessageReceived")) == sorted(SAID), kills
    for type in ("TurnStarted", "TurnReplied", "TurnEnded"):
        assert [e["turn"] for e in read(events, type)] == list(range(1, len(SAID) + 1)), (type, kills)
    assert {e["status"] for e in read(events, "TurnEnded")} == {"replied"}, kills
    sent = [o["number"] for o in read(events, "OutboundDelivered")]
    assert sent == list(range(1, len(sent) + 1)), kills
    calls = {e.stream for e in events if e.stream.startswith("call/")}
    ended = Counter(e.stream for e in events if e.type == "CallEnded")
    assert ended == Counter(calls), kills
    performed = evening.performed(name)
    assert set(performed.values()) <= {1}, (kills, performed)
    said = {f"call/{a['call']}": a["status"] for a in read(events, "ToolAnswered")}
    assert set(said) == calls, kills
    for call, status in said.items():
        # Of what was cut off nobody may know, and then it is said so; what is known is what happened.
        assert status == "unknown" or (status == "succeeded") == (call in performed), (kills, call, status, performed)


async def attacked(evening: Evening, places: Callable[[int], Sequence[int]]) -> int:
    """Undisturbed first; then killed at these places of as many events, some of them in each conversation."""
    events = await evening.talk("undisturbed")
    sound(evening, "undisturbed", events, ())
    assert {a["status"] for a in read(events, "ToolAnswered")} == {"succeeded"}
    found = sorted(places(len(events)))
    parts = -(-len(found) // AT_ONCE)
    for part in range(parts):
        kills = found[part::parts]
        sound(evening, f"struck-{part}", await evening.talk(f"struck-{part}", kills), kills)
    checks = await witness(evening.store, LogProof())
    assert all(check.passed for check in checks), "\n".join(verdict(checks))
    return len(found)


async def test_hosts_are_killed_at_twenty_places_of_a_conversation(evening: Evening) -> None:
    assert await attacked(evening, lambda events: Random(SEED).sample(range(events), KILLS)) == KILLS


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_hosts_are_killed_at_every_place_of_a_conversation(evening: Evening) -> None:
    assert await attacked(evening, range) > KILLS
