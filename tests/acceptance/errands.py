"""Everything an actor can ask for, under faults: effects of every class, timers, tells in order, subscriptions.

A clerk asked to `Work` makes a call to the world, sends two notes to a desk and sets itself a reminder. A board hears
of every note. The world is a fake that counts calls.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import msgspec
from msgspec import Struct

from actors import Attempt, Effect, EffectKind, Kind, Message, Outcome, Plugin, Reply, Schedule, Tell
from events.envelope import Event
from gateway.demo.plan import Step
from gateway.proof import Check
from tests.acceptance.world import PATIENCE, Wire, World, prove

DURATION = 0.02
"""Virtual seconds: half a call to the world."""
CLASSES = ("pure", "idempotent", "keyed", "irreversible")


class Work(Struct, frozen=True):
    n: int


class Note(Struct, frozen=True):
    k: int


class Remind(Struct, frozen=True):
    n: int


class Call(Struct, frozen=True):
    n: int


class Asked(Struct, frozen=True):
    n: int


class Done(Struct, frozen=True):
    n: int
    effect: str
    status: str


class Reminded(Struct, frozen=True):
    n: int


class Noted(Struct, frozen=True):
    by: str
    k: int


class Seen(Struct, frozen=True):
    by: str
    k: int


class State(Struct):
    events: int = 0


def evolve(state: State, event: Any) -> State:
    state.events += 1
    return state


def clerk(state: State, message: Message) -> list[Any]:
    match message.data:
        case Work(n):
            desk = f"desk/{n % 2}"
            return [
                Asked(n),
                Tell(desk, Note(2 * n)),
                Effect(CLASSES[n % 4], Call(n), ref=str(n)),
                Schedule(f"remind-{n}", Remind(n), after=1.0 + n % 3),
                Tell(desk, Note(2 * n + 1)),
                Reply({"n": n}),
            ]
        case Outcome() as outcome:
            return [Done(int(outcome.ref), outcome.effect, outcome.status)]
        case Remind(n):
            return [Reminded(n)]
        case _:
            return []


def desk(state: State, message: Message) -> list[Any]:
    return [Noted(message.sender, message.data.k)]


def board(state: State, message: Message) -> list[Any]:
    return [Seen(message.data.by, message.data.k)]


CALL_TAKES = 0.02
"""Half of what a call to the world takes, in virtual seconds."""


class Outside:
    """The world: every call is counted. Some fail, and some break off without saying what came of them."""

    def __init__(self) -> None:
        self.calls: defaultdict[str, list[str]] = defaultdict(list)
        """Attempts, by effect."""
        self.succeeded: set[str] = set()

    def plugin(self, wire: Wire) -> Plugin:
        async def perform(call: Call, attempt: Attempt) -> Any:
            await asyncio.sleep(CALL_TAKES)
            await wire.passes()
            self.calls[attempt.effect].append(attempt.number)
            await asyncio.sleep(CALL_TAKES)
            await wire.passes()
            if call.n % 9 == 5:
                raise RuntimeError("no")
            if call.n % 9 == 7:
                raise ConnectionError("broken off")
            self.succeeded.add(attempt.effect)
            return {"n": call.n}

        effects = [EffectKind(name, request=Call, perform=perform, effect_class=name) for name in CLASSES]
        kinds = [
            Kind("clerk", state=State, decide=clerk, evolve=evolve, messages=[Work, Remind, Outcome],
                 events=[Asked, Done, Reminded], snapshot_every=7),
            Kind("desk", state=State, decide=desk, evolve=evolve, messages=[Note], events=[Noted], snapshot_every=5),
            Kind("board", state=State, decide=board, evolve=evolve, events=[Seen],
                 subscribes={Noted: lambda noted, _event: "board/all"}),
        ]  # fmt: skip
        return Plugin(kinds=kinds, effects=effects)


class ErrandsProof:
    """Everything asked for happened once and in order; calls are held against the fake's own count."""

    def __init__(self, outside: Outside, numbers: range) -> None:
        self._outside = outside
        self._numbers = numbers
        self.asked: defaultdict[str, list[int]] = defaultdict(list)
        self.done: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        self.reminded: defaultdict[int, int] = defaultdict(int)
        self.noted: list[tuple[str, str, int]] = []
        self.seen: list[tuple[str, int]] = []

    def see(self, event: Event) -> None:
        data = msgspec.json.decode(event.data)
        match event.type:
            case "Asked":
                self.asked[event.stream].append(data["n"])
            case "Done":
                self.done[data["n"]].append(data)
            case "Reminded":
                self.reminded[data["n"]] += 1
            case "Noted":
                self.noted.append((event.stream, data["by"], data["k"]))
            case "Seen":
                self.seen.append((data["by"], data["k"]))
            case _:
                pass

    @property
    def finished(self) -> bool:
        count = len(self._numbers)
        return (len(self.done), len(self.reminded), len(self.noted), len(self.seen)) == (
            count,
            count,
            2 * count,
            2 * count,
        )

    def checks(self) -> list[Check]:
        asked = Check("every request was taken once")
        asked.require(sorted(n for ns in self.asked.values() for n in ns) == list(self._numbers), f"{self.asked}")
        return [asked, self._notes(), self._outcomes(), self._timers()]

    def _notes(self) -> Check:
        check = Check("notes arrived once and in order, and the board saw them so")
        for by, numbers in self.asked.items():
            for desk in ("desk/0", "desk/1"):
                sent = [k for n in numbers if f"desk/{n % 2}" == desk for k in (2 * n, 2 * n + 1)]
                got = [k for where, sender, k in self.noted if (where, sender) == (desk, by)]
                check.require(sent == got, f"{by} sent {sent} to {desk}, where {got} came")
        check.require(self.seen == [(by, k) for _, by, k in self.noted], f"noted {self.noted}, seen {self.seen}")
        return check

    def _outcomes(self) -> Check:
        check = Check("every effect has one outcome that is true, and no attempt was made twice")
        for n in self._numbers:
            outcomes = self.done[n]
            if len(outcomes) != 1:
                check.fault(f"effect of {n} has outcomes {outcomes}")
                continue
            effect, status = outcomes[0]["effect"], outcomes[0]["status"]
            calls = self._outside.calls[effect]
            check.require(len(set(calls)) == len(calls), f"an attempt of {n} was made twice: {calls}")
            check.require(status != "succeeded" or effect in self._outside.succeeded, f"{n} did not succeed")
            check.require(status == "unknown" or bool(calls), f"{n} is {status} and was never called")
            if CLASSES[n % 4] == "irreversible":
                check.require(len(calls) <= 1, f"{n} cannot be repeated, and was: {calls}")
            else:
                check.require(status != "unknown", f"{n} can be repeated, and is unknown")
        return check

    def _timers(self) -> Check:
        check = Check("every timer fired once")
        check.require(all(self.reminded[n] == 1 for n in self._numbers), f"{dict(self.reminded)}")
        return check


async def run_errands(faults: dict[int, str], *, hosts: int = 1, seed: int = 1, number: int = 12) -> World:
    """Ask for errands under faults until all is done, and prove it."""
    outside = Outside()
    world = World(outside.plugin, faults, seed)
    steps = [Step(f"clerk/{n % 3}", "Work", {"n": n}, f"work-{n}") for n in range(number)]
    async with asyncio.timeout(PATIENCE):
        await world.start(hosts)
        await asyncio.gather(*(world.ask(step, lambda _answer: None, world.random.uniform(0, 3)) for step in steps))
        while True:
            proof = ErrandsProof(outside, range(number))
            for event in await world.store.read(0, 1_000_000):
                proof.see(event)
            if proof.finished:
                break
            await asyncio.sleep(0.1)
    faulty = await prove(world, ErrandsProof(outside, range(number)))
    assert not faulty, f"with {faults} on {hosts} hosts, seed {seed}:\n" + "\n".join(faulty)
    return world
