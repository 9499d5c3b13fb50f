"""Names, and the bytes of states: pure, for whatever the library may hand over."""

from __future__ import annotations

from uuid import UUID, uuid4

import msgspec
import pytest
from eventsourcing.dcb.api import DCBEvent
from eventsourcing.persistence import DataError, StoredEvent
from hypothesis import assume, given
from hypothesis import strategies as st

from actors import Kind
from events.address import check_type, split
from events.errors import BadDefinition
from infra.eventsourcing.names import SHARED, application_key, shared_stream, stream_of, type_of
from infra.eventsourcing.stored import begin, dcb_of, row_of, row_of_dcb, state_of, stored_of

ID, DATA, META = 2, 4, 8
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


def test_topics_become_legible_types() -> None:
    assert type_of("school.domain:Dog.Registered") == "school.domain.Dog.Registered"
    assert type_of("tests.case:Case.test.<locals>.Happened") == "tests.case.Case.test.Happened"
    assert type_of("topic1") == "es.topic1"
    long = type_of(f"{'package.' * 30}module:Aggregate.Happened")
    assert long.startswith("es.package.")
    assert ".module.Aggregate.Happened-" in long


@given(TEXT)
def test_every_topic_has_a_type(topic: str) -> None:
    assert "." in check_type(type_of(topic))


def test_names_are_legible() -> None:
    id = UUID("0b1c7a4e-7d0c-4c3b-9a55-0d5a1f0b6e11")
    assert stream_of("DogSchool", id) == f"es/DogSchool.{id}"
    assert stream_of("a.b", "c d") == "es/a%2Eb.c%20d"
    assert shared_stream("Enrolment") == "es/Enrolment.~dcb"
    assert application_key("") == "es/application"


@given(TEXT, TEXT, TEXT, TEXT)
def test_no_two_aggregates_share_a_stream(app1: str, id1: str, app2: str, id2: str) -> None:
    one, two = stream_of(app1, id1), stream_of(app2, id2)
    split(one)
    assert (one == two) == ((app1 or "application", id1) == (app2 or "application", id2))
    assert one.partition(".")[0] == application_key(app1)
    assert not one.endswith(f".{SHARED}")


def test_no_actor_is_of_that_kind() -> None:
    with pytest.raises(BadDefinition, match="other libraries' streams"):
        Kind("es", state=dict, decide=lambda state, message: [], evolve=lambda state, event: state)


def stored(row: tuple[object, ...]) -> StoredEvent:
    data, meta = row[DATA], row[META]
    assert isinstance(data, bytes)
    assert isinstance(meta, bytes)
    msgspec.json.decode(data)
    return stored_of(data, meta)


@given(st.uuids() | TEXT, st.integers(0, 2**62), TEXT, st.binary() | JSON.map(msgspec.json.encode))
def test_a_stored_event_comes_back_byte_for_byte(id: UUID | str, version: int, topic: str, state: bytes) -> None:
    event = StoredEvent(id, version, topic, state)
    row = row_of(begin("default", "App", {}), event, stream_of("App", id), 1)
    assert stored(row) == event
    assert str(row[ID]).count(" ") == 1


@given(TEXT, st.binary(), st.lists(TEXT))
def test_a_decision_comes_back_byte_for_byte(type: str, data: bytes, tags: list[str]) -> None:
    event = DCBEvent(type, data, tags)
    row = row_of_dcb(begin("default", "App", {}), event, 1)
    assert dcb_of(row[DATA], row[META]) == event


@given(JSON)
def test_json_stays_readable(value: object) -> None:
    state = msgspec.json.encode(value)
    assume(msgspec.json.decode(state) == value)
    row = row_of(begin("default", "App", {}), StoredEvent(uuid4(), 1, "a:B", state), "es/App.1", 1)
    assert row[DATA] == state


@pytest.mark.parametrize(
    "state", [b"", b"NaN", b'{"a":NaN}', b'{"a": 1\n}', b"\xff", b'{"a":', b"[" * 100_000 + b"]" * 100_000]
)
def test_what_is_no_compact_json_is_base64(state: bytes) -> None:
    row = row_of(begin("default", "App", {}), StoredEvent(uuid4(), 1, "a:B", state), "es/App.1", 1)
    assert row[DATA].startswith(b'"')
    assert stored(row).state == state


def test_a_state_beyond_the_limit_is_refused() -> None:
    with pytest.raises(DataError, match="67108864 at most"):
        row_of(begin("default", "App", {}), StoredEvent(uuid4(), 1, "a:B", bytes(64 << 20)), "es/App.1", 1)


def test_causes_are_texts() -> None:
    with pytest.raises(DataError, match="causation is 3"):
        begin("default", "App", {"causation": 3})


def test_a_state_without_encoding_is_the_data() -> None:
    from infra.eventsourcing.stored import Meta

    assert state_of(b"{}", Meta()) == b"{}"
