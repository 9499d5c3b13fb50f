"""What the shipped suites do not ask: threads, lost answers, many applications in one log, what the log sees of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import Application
from eventsourcing.dcb.api import DCBAppendCondition, DCBEvent, DCBQuery, DCBQueryItem
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import (
    DataError,
    InfrastructureFactoryError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    StoredEvent,
    Tracking,
)
from eventsourcing.system import MultiThreadedRunner, SingleThreadedRunner
from eventsourcing.utils import Environment

from events.chain import GENESIS, link
from events.envelope import Event
from events.store import Append, NewEvent
from gateway.torture.faults_wire import How, Strike, wire
from infra.eventsourcing import LogFactory
from infra.eventsourcing.errors import UnknownOutcomeError
from infra.postgres import open_store
from tests.eventsourcing.school import SYSTEM, DogSchool, Gossip

Make = Callable[..., LogFactory]


@pytest.fixture
def make(environment: dict[str, str]) -> Iterator[Make]:
    """Factories, closed in the end."""
    made: list[LogFactory] = []

    def one(name: str = "App", **env: str) -> LogFactory:
        made.append(LogFactory(Environment(name, environment | env)))
        return made[-1]

    yield one
    for factory in made:
        factory.close()


def event(id: UUID | str, version: int = 1, state: bytes = b"{}", topic: str = "school:Dog.Barked") -> StoredEvent:
    return StoredEvent(id, version, topic, state)


async def logged(url: str) -> list[Event]:
    async with open_store(url) as store:
        return await store.read(0, 100_000)


def chained(events: list[Event]) -> None:
    """Positions have no gaps, and every hash follows from the one before it in its stream."""
    assert [e.position for e in events] == list(range(1, len(events) + 1))
    heads: dict[str, tuple[int, bytes]] = {}
    for e in events:
        version, previous = heads.get(e.stream, (0, GENESIS))
        assert e.version == version + 1
        assert e.hash == link(previous, e.tenant, e.stream, e.version, e.id, e.type, e.schema, e.causation, e.data)
        heads[e.stream] = (e.version, e.hash)


def test_many_threads_write_and_none_is_lost(make: Make) -> None:
    recorder = make().application_recorder()

    def work(n: int) -> list[int]:
        id, positions = uuid4(), list[int]()
        for version in range(1, 21):
            positions += recorder.insert_events([event(id, version, b'{"by":%d}' % n)]) or ()
        return positions

    with ThreadPoolExecutor(16) as pool:
        written = list(pool.map(work, range(16)))
    assert sorted(chain(*written)) == [n.id for n in recorder.select_notifications(1, 1000)] == list(range(1, 321))


def test_of_many_who_write_the_same_version_one_does(make: Make) -> None:
    recorders = [make().application_recorder() for _ in range(2)]
    id = uuid4()
    for version in range(1, 6):

        def work(n: int, version: int = version) -> bool:
            try:
                recorders[n % 2].insert_events([event(id, version)])
            except IntegrityError:
                return False
            return True

        with ThreadPoolExecutor(12) as pool:
            assert sum(pool.map(work, range(12))) == 1
    assert len(recorders[0].select_events(id)) == 5


async def test_a_save_of_several_aggregates_is_whole_or_nothing(make: Make, postgres_url: str) -> None:
    recorder = make().application_recorder()
    one, two, three = uuid4(), uuid4(), uuid4()

    def work() -> None:
        recorder.insert_events([event(two)])
        with pytest.raises(IntegrityError):
            recorder.insert_events([event(one), event(one, 2), event(two), event(three)])
        assert recorder.select_events(one) == recorder.select_events(three) == []
        assert recorder.insert_events([event(one), event(two, 2), event(one, 2)]) == [2, 3, 4]

    await asyncio.to_thread(work)
    chained(sorted(await logged(postgres_url), key=lambda e: e.position))


def test_a_version_left_out_is_refused(make: Make) -> None:
    recorder = make().application_recorder()
    id = uuid4()
    recorder.insert_events([event(id, 0)])
    with pytest.raises(IntegrityError, match="is missing"):
        recorder.insert_events([event(id, 2)])
    with pytest.raises(IntegrityError, match="do not follow"):
        recorder.insert_events([event(id, 1), event(id, 3)])
    recorder.insert_events([event(id, 1)])
    assert [e.originator_version for e in recorder.select_events(id, gt=0)] == [1]
    assert [e.originator_version for e in recorder.select_events(id, lte=0)] == [0]
    assert [e.originator_version for e in recorder.select_events(id, desc=True, limit=1)] == [1]


async def test_the_hash_chain_is_the_logs_own(make: Make, postgres_url: str) -> None:
    recorder = make("Schule für Hunde").process_recorder()

    def work() -> None:
        for version, state in enumerate([b"{}", bytes(100_000), b'{"text":"\xc3\xa4"}', b"x" * 50_000], 1):
            recorder.insert_events([event("ä/1", version, state)], tracking=Tracking("other", version))
            assert recorder.select_events("ä/1")[-1].state == state

    await asyncio.to_thread(work)
    events = await logged(postgres_url)
    assert len(events) == 4
    chained(events)


def test_applications_in_one_log_do_not_see_each_other(make: Make) -> None:
    names = ["A", "A.B", "AB", "a"]
    recorders = [make(name).application_recorder() for name in names]
    id = uuid4()
    for n, recorder in enumerate(recorders):
        recorder.insert_events([event(id, 1, b"%d" % n)])
    for n, recorder in enumerate(recorders):
        assert [x.state for x in recorder.select_notifications(None, 10)] == [b"%d" % n]
        assert recorder.max_notification_id() == n + 1
    other = make("A", THESPIS_TENANT="another").application_recorder()
    assert other.max_notification_id() is None


@pytest.mark.parametrize("key", [None, "a key of the right size, 32 bytes"[:32]])
async def test_compressed_and_encrypted_states_are_bytes(environment: dict[str, str], key: str | None) -> None:
    from eventsourcing.cipher import AESCipher

    env = environment | {"COMPRESSOR_TOPIC": "eventsourcing.compressor:ZlibCompressor"}
    if key is not None:
        env["CIPHER_KEY"] = AESCipher.create_key(32)

    def work() -> None:
        with Application[UUID](env) as app:
            dog = Aggregate()
            app.save(dog)
            found: Aggregate = app.repository.get(dog.id)
            assert found == dog

    await asyncio.to_thread(work)
    (found,) = await logged(environment["DATABASE_URL"])
    assert found.data.startswith(b'"')
    assert found.meta is not None
    assert b'"encoding":"base64"' in found.meta


def test_what_cannot_be_stored_does_not_disturb_the_others(make: Make) -> None:
    recorder = make().application_recorder()
    with pytest.raises(DataError):
        recorder.insert_events([StoredEvent(uuid4(), 1, "a:\udcff", b"{}")])

    def work(n: int) -> bool:
        state, topic = b"{}", "a:B" if n % 4 else "a:B\0"
        try:
            recorder.insert_events([StoredEvent(uuid4(), 1, topic, state)])
        except DataError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(40))) == 30
    assert recorder.max_notification_id() == 30


def test_a_subscription_hears_of_another_process(make: Make) -> None:
    reader, writer = make().application_recorder(), make().application_recorder()
    with reader.subscribe(topics=["school:Dog.Barked"]) as subscription:
        for version in range(1, 4):
            writer.insert_events([event("x", version * 2 - 1), event("x", version * 2, topic="school:Dog.Slept")])
            assert next(subscription).originator_version == version * 2 - 1


def test_what_is_closed_says_so(make: Make) -> None:
    factory = make()
    recorder = factory.application_recorder()
    factory.close()
    factory.close()
    with pytest.raises(InterfaceError, match="closed"):
        recorder.insert_events([event(uuid4())])


def test_a_database_that_is_not_named_or_not_there_is_said(tmp_path: Any) -> None:
    with pytest.raises(InfrastructureFactoryError, match="DATABASE_URL is not set"):
        LogFactory({"THESPIS_DATA": str(tmp_path)})
    with pytest.raises(InfrastructureFactoryError, match="THESPIS_TENANT"):
        LogFactory({"DATABASE_URL": "postgresql://127.0.0.1:1/x", "THESPIS_TENANT": "A B"})
    factory = LogFactory({"DATABASE_URL": "postgresql://127.0.0.1:1/x"})
    with pytest.raises(OperationalError, match="does not answer"):
        factory.application_recorder()
    factory.close()


def test_the_database_of_a_running_instance_is_found(environment: dict[str, str], tmp_path: Any) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"pid": 1, "database_url": environment["DATABASE_URL"]}))
    factory = LogFactory({"THESPIS_DATA": str(tmp_path)})
    assert factory.application_recorder().max_notification_id() is None
    factory.close()


@pytest.mark.parametrize("how", ["not sent", "sent", "answered"])
async def test_a_lost_answer_does_not_double_or_lose(make: Make, postgres_url: str, how: How) -> None:
    port = urlsplit(postgres_url).port or 0
    async with wire(port) as line:
        through = {"DATABASE_URL": postgres_url.replace(f":{port}/", f":{line.port}/")}
        recorder = await asyncio.to_thread(lambda: make(**through).process_recorder())
        decisions = await asyncio.to_thread(lambda: make("Decisions", **through).dcb_recorder())

        def strike() -> Strike:
            return line.strike(Strike(how, statement="es_append(", name="thespis eventsourcing writer"))

        struck = strike()
        written = await asyncio.to_thread(recorder.insert_events, [event("a"), event("b")], tracking=Tracking("up", 7))
        assert struck.struck.is_set()
        assert written == [1, 2]
        strike()
        await asyncio.to_thread(recorder.insert_events, [], tracking=Tracking("up", 8))
        assert await asyncio.to_thread(recorder.max_tracking_id, "up") == 8
        with pytest.raises(IntegrityError):
            await asyncio.to_thread(recorder.insert_events, [event("a", 2)], tracking=Tracking("up", 8))
        strike()
        with pytest.raises(UnknownOutcomeError):
            await asyncio.to_thread(decisions.append, [DCBEvent("t", b"{}", ["x"])])
    events = await logged(postgres_url)
    assert [e.stream for e in events][:2] == ["es/App.a", "es/App.b"]
    assert len(events) == {"not sent": 2, "sent": len(events), "answered": 3}[how]
    chained(events)


async def test_what_a_process_records_is_caused_by_what_it_followed(make: Make, postgres_url: str) -> None:
    upstream, process = make("Up").application_recorder(), make("Down").process_recorder()

    def work() -> None:
        upstream.insert_events([event("a")], correlation="order-1", trace="00-1-2-01")
        process.insert_events([event("b"), event("c")], tracking=Tracking("Up", 1))
        process.insert_events([event("d")], tracking=Tracking("Elsewhere", 1))
        process.insert_events([event("e")], tracking=Tracking("Up", 2), causation="said so")

    await asyncio.to_thread(work)
    up, b, c, d, e = await logged(postgres_url)
    assert (up.correlation, up.id) == ("order-1", "/default/es/Up a.1")
    assert [(x.causation, x.correlation, x.trace) for x in (b, c)] == [(up.id, "order-1", "00-1-2-01")] * 2
    assert len(d.causation) == 36
    assert d.correlation == d.causation != up.causation
    assert (e.causation, e.correlation) == ("said so", "said so")


@pytest.mark.parametrize("runner", [SingleThreadedRunner, MultiThreadedRunner])
def test_a_process_handles_each_event_once_while_others_write_between(
    make: Make, environment: dict[str, str], runner: type[Any]
) -> None:
    stranger = make("Stranger").application_recorder()
    with runner(SYSTEM, env=environment) as running:
        school, gossip = running.get(DogSchool), running.get(Gossip)
        for n in range(20):
            stranger.insert_events([event(f"x{n}")])
            last = school.add_trick(school.register(f"dog {n}"), "roll over")
        gossip.recorder.wait(DogSchool.name, last, timeout=30)
        assert gossip.dogs("roll over") == 20


def condition(*tags: str, after: int | None = None) -> DCBAppendCondition:
    return DCBAppendCondition(DCBQuery([DCBQueryItem(tags=list(tags))]), after)


def test_of_many_decisions_on_one_condition_one_is_made(make: Make) -> None:
    recorders = [make("Decisions").dcb_recorder() for _ in range(2)]

    def work(n: int) -> bool:
        try:
            recorders[n % 2].append([DCBEvent("Taken", b"%d" % n, ["seat:1"])], condition("seat:1"))
        except IntegrityError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(24))) == 1
    assert len(list(recorders[0].read())) == 1


def test_a_long_answer_comes_in_pages_and_ends_where_it_began(make: Make) -> None:
    recorder = make("Decisions").dcb_recorder()
    recorder.append([DCBEvent("Done", b"{}", ["all", f"n:{n}"]) for n in range(2500)])
    response = recorder.read(DCBQuery([DCBQueryItem(tags=["all"])]))
    recorder.append([DCBEvent("Done", b"{}", ["all"])])
    positions = [found.position for found in response]
    assert (positions, response.head) == (list(range(1, 2501)), 2500)
    assert [found.position for found in recorder.read(after=2400, limit=1001)] == list(range(2401, 2502))


async def test_an_imported_log_has_its_notifications_and_tags(
    make: Make, postgres_url: str, postgres_shared: Any
) -> None:
    app, decisions = make().application_recorder(), make("Decisions").dcb_recorder()

    def work() -> None:
        app.insert_events([event("a"), event("b")])
        decisions.append([DCBEvent("Done", b"{}", ["x", "y"])])
        app.insert_events([event("a", 2)])

    await asyncio.to_thread(work)
    events = await logged(postgres_url)
    copy = await postgres_shared.create()
    async with open_store(copy) as store:
        for e in events:
            new = NewEvent(e.id, e.type, e.schema, e.data, e.causation, e.correlation, e.hash, e.trace, e.meta)
            await store.bulk([Append(e.tenant, e.stream, 0, None, e.version - 1, [new])])

    def look() -> None:
        there = make(DATABASE_URL=copy)
        assert [n.id for n in there.application_recorder().select_notifications(None, 10)] == [1, 2, 4]
        there.application_recorder().insert_events([event("a", 3)])
        again = make("Decisions", DATABASE_URL=copy).dcb_recorder()
        with pytest.raises(IntegrityError):
            again.append([DCBEvent("Done", b"{}")], condition("x", "y"))
        there.close()

    await asyncio.to_thread(look)
    assert all(a.position < b.position for a, b in pairwise(events))
