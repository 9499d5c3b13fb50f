"""A random walk: two writers append, race, roll back and give up; the log must be where the model is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from events.store import Append, Appended, EffectChange, EventStore, MailKey, NewEffect, NewTimer
from infra.memory.store import MemoryStore
from infra.postgres import PostgresStore, migrate
from infra.postgres.encoding import APPEND, encode
from tests.contract.store_harness import ALL, TENANT, event, first_answer, handled, tell, uid, write
from tests.model.log_model import Model

STREAMS = ["a/1", "a/2", "b/1", "c/1"]
WRITTEN = [*STREAMS, "f/1", "f/2", "f/3"]
LABELS = range(6)


class Adapter:
    """Two writers on one log, and how to begin again with an empty one."""

    def __init__(self, dsn: str | None) -> None:
        self.dsn = dsn
        self.writers: list[EventStore] = []

    async def open(self) -> None:
        if self.dsn is None:
            self.writers = [MemoryStore()] * 2
            return
        await migrate(self.dsn)
        connection = await asyncpg.connect(self.dsn)
        rows = await connection.fetch("select tablename from pg_tables where schemaname = 'thespis'")
        tables = [f"thespis.{r[0]}" for r in rows if r[0] not in ("migrations", "partitions")]
        await connection.execute(f"truncate {', '.join(tables)}; update thespis.partitions set owner = null, epoch = 0")
        await connection.close()
        self.writers = [PostgresStore(self.dsn, readers=2) for _ in range(2)]

    async def roll_back(self, batch: list[Append]) -> None:
        """Append and take it back."""
        if self.dsn is None:
            return
        connection = await asyncpg.connect(self.dsn)
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetchrow(APPEND, *encode(batch))
        await transaction.rollback()
        await connection.close()

    async def close(self) -> None:
        for writer in self.writers:
            if isinstance(writer, PostgresStore):
                await writer.close()


class LogMachine(RuleBasedStateMachine):
    """The walk. Every rule ends by comparing all there is to read with the model."""

    dsn: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.adapter = Adapter(self.dsn)
        self.model = Model()
        self.run(self.adapter.open())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        self.run(self.adapter.close())
        self.loop.close()

    @initialize()
    def join(self) -> None:
        for n, writer in enumerate(self.adapter.writers):
            self.run(writer.join(f"h{n}", 3600, b""))

    # -- what may be appended: mostly right, sometimes not
    def draw_append(self, data: st.DataObject) -> Append:
        stream = data.draw(st.sampled_from(STREAMS), label="stream")
        right = self.model.version(stream)
        expected = right + data.draw(st.sampled_from([0] * 8 + [-1, 1]), label="off by")
        a = write(
            stream, expected, [event(uid().encode()) for _ in range(data.draw(st.integers(0, 3), label="events"))]
        )
        epoch = self.model.epochs[a.partition]
        a.epoch = data.draw(st.sampled_from([None, epoch, epoch, epoch, epoch - 1]), label="epoch")
        parts = data.draw(st.sets(st.sampled_from(list(PARTS)), max_size=3), label="parts")
        for part in sorted(parts):
            PARTS[part](self, a, data)
        return a

    def draw_batch(self, data: st.DataObject) -> list[Append]:
        return [self.draw_append(data) for _ in range(data.draw(st.integers(1, 4), label="appends"))]

    def handled(self, a: Append, data: st.DataObject) -> None:
        a.handled = [
            handled(
                data.draw(st.sampled_from(LABELS)),
                data.draw(st.sampled_from([b"one", b"one", b"two"])),
                answer=uid().encode(),
                upto=data.draw(st.sampled_from([None, 0, len(a.events)])),
                guarded=data.draw(st.booleans()),
                told=data.draw(st.integers(0, 3)),
            )
            for _ in range(data.draw(st.integers(1, 2)))
        ]

    def sent(self, a: Append, data: st.DataObject) -> None:
        if a.events:
            a.mail = [tell(data.draw(st.sampled_from(STREAMS)), n) for n in range(data.draw(st.integers(1, 3)))]

    def taken(self, a: Append, data: st.DataObject) -> None:
        # What is drawn must not depend on how a race went, so a place is drawn by number.
        places = [*self.model.mail, (1, 1, 0)]
        numbers = data.draw(st.lists(st.integers(0, 15), min_size=1, max_size=2))
        a.taken = [MailKey(*places[n % len(places)]) for n in numbers]

    def asked(self, a: Append, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(LABELS), min_size=1, max_size=2))
        a.effects = [NewEffect(f"e{n}", "http", "keyed", "k", b"{}", 7, "c", "k") for n in ids]

    def changed(self, a: Append, data: st.DataObject) -> None:
        one = st.builds(
            EffectChange,
            st.sampled_from([f"e{n}" for n in LABELS]),
            st.sampled_from(["started", "succeeded", "failed", "unknown", "cancelled"]),
            st.sampled_from(["1.9", "1.10", "2.11"]),
            st.sampled_from([None, b"ok"]),
            st.booleans(),
        )
        a.changes = data.draw(st.lists(one, min_size=1, max_size=2))

    def timed(self, a: Append, data: st.DataObject) -> None:
        name, due = data.draw(st.sampled_from("xy")), data.draw(st.integers(1, 9))
        a.timers = [NewTimer(name, f"{name}{due}", due, "Wake", 1, b"{}", "c", "k")]

    def untimed(self, a: Append, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from("xy"))
        id, _ = self.model.timers.get((a.stream, name), ("never", 0))
        if data.draw(st.booleans()):
            a.fired = [(name, id)]
        else:
            a.cancelled = [name]

    def forked(self, a: Append, data: st.DataObject) -> None:
        a.stream = data.draw(st.sampled_from(["f/1", "f/2", "f/3"]))
        source = data.draw(st.sampled_from([*STREAMS, "f/1"]))
        a.partition = write(a.stream, 0).partition
        a.epoch = None
        a.expected = self.model.version(source)
        a.events = a.events or [event(uid().encode())]
        a.fork_of = (source, a.expected)

    # -- rules
    @rule(data=st.data(), writer=st.integers(0, 1))
    def append(self, data: st.DataObject, writer: int) -> None:
        batch = self.draw_batch(data)
        appended = self.run(self.adapter.writers[writer].append(batch))
        assert seen(appended) == self.model.append(batch)
        self.compare()

    @rule(data=st.data())
    def race(self, data: st.DataObject) -> None:
        """Both at once: as if one had been after the other."""
        batches = [self.draw_batch(data), self.draw_batch(data)]

        async def both() -> list[Appended]:
            return await asyncio.gather(*(w.append(b) for w, b in zip(self.adapter.writers, batches, strict=True)))

        got = [seen(a) for a in self.run(both())]
        for order in ((0, 1), (1, 0)):
            model = self.model.copy()
            expected: dict[int, Any] = {n: model.append(batches[n]) for n in order}
            if [expected[0], expected[1]] == got:
                self.model = model
                return self.compare()
        raise AssertionError(f"{got} is no order of {batches}")

    @rule(data=st.data(), writer=st.integers(0, 1), turns=st.integers(0, 6))
    def give_up(self, data: st.DataObject, writer: int, turns: int) -> None:
        """A cancelled append happened or did not."""
        batch = self.draw_batch(data)
        store = self.adapter.writers[writer]

        async def cancelled() -> int:
            task = asyncio.create_task(store.append(batch))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            nothing = write("z/1", 0, 0)
            return (await store.append([nothing])).head

        self.run(cancelled())
        happened = self.model.copy()
        happened.append(batch)
        got = self.run(self.everything())
        assert got in (everything_of(self.model), everything_of(happened))
        if got == everything_of(happened):
            self.model = happened

    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        batch = [self.draw_append(data)]
        if not batch[0].mail and len({m.id for m in batch[0].handled}) == len(batch[0].handled):
            batch[0].effects = batch[0].taken = ()
            self.run(self.adapter.roll_back(batch))
        self.compare()

    @rule(new=st.integers(0, 1), partitions=st.sets(st.integers(0, 63), min_size=1))
    def move(self, new: int, partitions: set[int]) -> None:
        """Partitions change hands; an epoch each."""
        old = self.adapter.writers[1 - new]
        self.run(old.release(f"h{1 - new}", sorted(partitions)))
        for n, epoch in self.run(self.adapter.writers[new].claim(f"h{new}", sorted(partitions))).items():
            assert epoch == self.model.epochs[n] + 1
            self.model.epochs[n] = epoch

    @rule(upto=st.integers(0, 60), fewest=st.integers(1, 5))
    def archive(self, upto: int, fewest: int) -> None:
        """What is moved is where it was."""
        self.run(self.adapter.writers[1].archive(upto, fewest=fewest))
        self.compare()

    @rule()
    def forget(self) -> None:
        """Old messages: all of them."""
        pruned = self.run(self.adapter.writers[1].prune(2**62))
        assert (pruned.deleted, pruned.expired) == self.model.forget()
        self.compare()

    # -- comparing
    def compare(self) -> None:
        assert self.run(self.everything()) == everything_of(self.model)

    async def everything(self) -> dict[str, Any]:
        store = self.adapter.writers[0]
        log = await store.read(0, 100_000)
        assert [e.position for e in log] == list(range(1, len(log) + 1))
        mail, head = await store.mail(ALL, 0, 100_000)
        assert head == len(log)
        effects = [await store.effect(f"e{n}") for n in LABELS]
        unsettled = await store.effects(ALL, "", 1000)
        assert unsettled == [e for e in effects if e is not None and not e.delivered]
        streams = [(s, v) async for _, s, v in store.streams()]
        loaded = await store.load([(TENANT, s, "f") for s, _ in streams])
        assert [x.version for x in loaded] == [v for _, v in streams]
        answers = {uid(n): await first_answer(store, uid(n)) for n in LABELS}
        return {
            "log": [(e.stream, e.version, e.data) for e in log],
            "mail": [((m.partition, m.position, m.ordinal), m.id) for m in mail],
            "effects": {
                e.id: (e.stream, e.status, e.attempt, e.outcome, e.delivered) for e in effects if e is not None
            },
            "timers": {(t.stream, t.name): (t.id, t.due) for t in await store.timers(ALL, 1000, 1000)},
            "answers": {id: (a.outcome, a.position, a.version, a.data) for id, a in answers.items() if a is not None},
            "told": {m.id: m.told for s in WRITTEN for m in await store.messages(TENANT, s, -1)},
            "histories": {s: [(e[0], e[3]) for e in x.events] for (s, _), x in zip(streams, loaded, strict=True)},
        }


PARTS: dict[str, Callable[[LogMachine, Append, st.DataObject], None]] = {
    "asked": LogMachine.asked,
    "changed": LogMachine.changed,
    "forked": LogMachine.forked,
    "handled": LogMachine.handled,
    "sent": LogMachine.sent,
    "taken": LogMachine.taken,
    "timed": LogMachine.timed,
    "untimed": LogMachine.untimed,
}


def seen(appended: Appended) -> tuple[int, int, list[Any]]:
    """An outcome in the model's words."""
    return (
        appended.before,
        appended.head,
        [
            (v.status, v.position, v.message, (f.outcome, f.position, f.version, f.data) if (f := v.first) else None)
            for v in appended.verdicts
        ],
    )


def everything_of(model: Model) -> dict[str, Any]:
    """What reading must give."""
    return {
        "log": model.log,
        "mail": sorted(model.mail.items(), key=lambda item: item[0][1:]),
        "effects": model.effects,
        "timers": model.timers,
        "answers": {id: row[1:] for id, row in model.inbox.items()},
        "told": model.told,
        "histories": {s: model.history(s) for s in {s for s, _, _ in model.log}},
    }


def walk(dsn: str | None, examples: int, steps: int, *, chance: bool = False) -> None:
    machine = type("Walk", (LogMachine,), {"dsn": dsn})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=not chance,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_log_in_memory_is_where_the_model_is() -> None:
    walk(None, 60, 25)


def test_the_log_in_postgres_is_where_the_model_is(postgres_url: str) -> None:
    walk(postgres_url, 10, 20)


@pytest.mark.long
def test_the_log_in_memory_is_where_the_model_is_wherever_chance_leads() -> None:
    walk(None, 2000, 40, chance=True)


@pytest.mark.long
def test_the_log_in_postgres_is_where_the_model_is_wherever_chance_leads(postgres_url: str) -> None:
    walk(postgres_url, 200, 40, chance=True)
