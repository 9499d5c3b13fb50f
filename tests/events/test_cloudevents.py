"""CloudEvents 1.0 in and out: what is taken, what is refused and how that is said, and that nothing changes inside."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import cloudevents as ce
from events.cloudevents import CloudEvent
from events.cloudevents.attributes import CORE, FORBIDDEN
from events.envelope import Event
from events.errors import Invalid, InvalidData, InvalidName, TooLarge

MINIMAL: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "urn:till", "type": "com.example.sold"}


def structured(**changes: Any) -> CloudEvent:
    body = {k: v for k, v in (MINIMAL | changes).items() if v is not ...}
    return ce.structured(msgspec.json.encode(body))


def recorded(event: CloudEvent, **changes: Any) -> Event:
    """The event as the feed records it."""
    message = ce.to_message(event, "default", "user:ada", 1_700_000_000_000_000)
    fields: dict[str, Any] = {
        "position": 7,
        "tenant": "default",
        "stream": message.to,
        "version": 3,
        "id": f"{event.source} {event.id}",
        "type": message.type,
        "schema": 1,
        "data": message.body,
        "causation": message.causation or message.id,
        "correlation": message.correlation,
        "epoch": 1,
        "recorded_at": message.time,
        "trace": message.trace,
        "meta": message.meta,
        "hash": bytes(32),
    }
    return Event(**(fields | changes))


# -- what is taken


def test_the_smallest_event_has_no_data() -> None:
    event = structured()
    assert (event.id, event.source, event.type, event.data, event.encoding) == (
        "1",
        "urn:till",
        "com.example.sold",
        b"null",
        "none",
    )


def test_attributes_and_extensions_are_kept_as_canonical_strings() -> None:
    event = structured(
        time="2026-11-23T12:00:00.5+01:00",
        subject="a b",
        dataschema="https://example.com/s",
        datacontenttype="application/json",
        myint=-5,
        mybool=True,
        myother="x",
        gone=None,
        data=None,
    )
    assert event.extensions == {"myint": "-5", "mybool": "true", "myother": "x"}
    assert (event.time, event.subject) == ("2026-11-23T12:00:00.5+01:00", "a b")
    assert (event.data, event.encoding) == (b"null", "")


def test_json_data_keeps_its_numbers_and_order_but_not_its_white_space() -> None:
    data = b'{"b": 1.10, "a": 123456789012345678901234567890}'
    body = b'{"specversion":"1.0","id":"1","source":"s","type":"T","data":' + data + b"}"
    assert ce.structured(body).data == b'{"b":1.10,"a":123456789012345678901234567890}'


@pytest.mark.parametrize(
    ("media", "content", "data", "encoding"),
    [
        ("application/json", b' {"a": 1} ', b'{"a":1}', ""),
        ("application/vnd.x+json; charset=utf-8", b"[1, 2]", b"[1,2]", ""),
        (None, b"true", b"true", ""),
        ("text/plain", "grüß dich\n".encode(), '"grüß dich\\n"'.encode(), "text"),
        ("application/xml", b"<a/>", b'"<a/>"', "text"),
        ("text/plain", b"\xff\xfe", msgspec.json.encode(b64encode(b"\xff\xfe").decode()), "base64"),
        ("application/octet-stream", b"\x00\x01", b'"AAE="', "base64"),
        ("application/octet-stream", b"", b"null", "none"),
        ("application/json", b"", b"null", "none"),
    ],
)
def test_binary_content_becomes_json_and_back(media: str | None, content: bytes, data: bytes, encoding: str) -> None:
    event = ce.binary(MINIMAL, content, media)
    assert (event.data, event.encoding, event.datacontenttype) == (data, encoding, media)
    again = ce.content(recorded(event))
    assert again == (data if encoding == "" else content)


def test_base64_data_that_is_json_is_json() -> None:
    assert (
        structured(datacontenttype="application/json", data_base64=b64encode(b'{"a": 1}').decode()).data == b'{"a":1}'
    )
    assert structured(data_base64="AAE=").encoding == "base64"


def test_a_batch_is_a_list_of_events() -> None:
    events = ce.batch(msgspec.json.encode([MINIMAL, MINIMAL | {"id": "2", "data": 5}]))
    assert [(e.id, e.data) for e in events] == [("1", b"null"), ("2", b"5")]
    assert ce.batch(b"[]") == []


# -- what is refused, and how


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"specversion": ...}, "specversion is required"),
        ({"specversion": "0.3"}, "specversion is '0.3'"),
        ({"specversion": 1}, "specversion"),
        ({"id": ...}, "id is required"),
        ({"id": ""}, "id is required"),
        ({"id": 5}, "id must be a string"),
        ({"id": "a\nb"}, "id holds a control character"),
        ({"id": "a\ufffe"}, "id holds"),
        ({"source": ...}, "source is required"),
        ({"source": "a b"}, "source is 'a b'"),
        ({"source": "ü"}, "source"),
        ({"type": ...}, "type is required"),
        ({"type": "1st"}, "type name"),
        ({"type": "a b"}, "type name"),
        ({"time": "yesterday"}, "time is 'yesterday'"),
        ({"time": "2026-02-30T00:00:00Z"}, "time"),
        ({"time": "2026-02-03T00:00:00"}, "time"),
        ({"time": "2026-02-03T24:00:00Z"}, "time"),
        ({"subject": ""}, "subject is empty"),
        ({"dataschema": "no-scheme"}, "dataschema"),
        ({"datacontenttype": "json"}, "datacontenttype"),
        ({"My-Extension": "x"}, "'My-Extension' is not an attribute name"),
        ({"myfloat": 1.5}, "myfloat must be"),
        ({"mybig": 2**31}, "mybig must be"),
        ({"mylist": []}, "mylist must be"),
        ({"data": 1, "data_base64": "AA=="}, "exclude each other"),
        ({"data_base64": "@"}, "data_base64"),
        ({"data_base64": 5}, "data_base64"),
        ({"datacontenttype": "application/json", "data_base64": "AA=="}, "not JSON"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        structured(**changes)
    body = {k: v for k, v in (MINIMAL | changes).items() if v is not ...}
    with pytest.raises(Invalid, match=f"event 1: .*{words}"):
        ce.batch(msgspec.json.encode([MINIMAL, body]))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"null", b'"x"', b"\xff", b'{"id":"\xff"}', b"[" * 100_000])
def test_what_is_no_json_object_is_no_event(body: bytes) -> None:
    with pytest.raises(InvalidData):
        ce.structured(body)


@pytest.mark.parametrize("body", [b"", b"{}", b"[5]", b'[{"a":"\xff"}]', b"[" * 100_000, b'[{"specversion":"1.0"},'])
def test_what_is_no_list_of_objects_is_no_batch(body: bytes) -> None:
    with pytest.raises(InvalidData):
        ce.batch(body)


@pytest.mark.parametrize("content", [b"not json", b"\xff", b'"\xed\xa0\x80"', b"1e999", b"{} {}", b"NaN"])
def test_binary_content_that_should_be_json_must_be(content: bytes) -> None:
    with pytest.raises(InvalidData, match="not JSON") as raised:
        ce.binary(MINIMAL, content)
    assert "datacontenttype" in raised.value.hint


def test_limits_are_the_callers() -> None:
    with pytest.raises(TooLarge, match="limit is 10"):
        ce.binary(MINIMAL, b'"' + b"x" * 20 + b'"', max_size=10)
    with pytest.raises(TooLarge):
        ce.structured(msgspec.json.encode(MINIMAL | {"data": "x" * 100_000}), max_size=10)
    with pytest.raises(InvalidData, match="3 levels"):
        ce.binary(MINIMAL, b"[[[[]]]]", max_depth=3)
    assert ce.binary(MINIMAL, b'["[[[[[[\\"[[["]', max_depth=1).data == b'["[[[[[[\\"[[["]'
    with pytest.raises(InvalidData, match="levels"):
        ce.structured(b'{"specversion":"1.0","id":"1","source":"s","type":"T","data":' + b"[" * 70 + b"]" * 70 + b"}")
    with pytest.raises(TooLarge, match="2 events"):
        ce.batch(msgspec.json.encode([MINIMAL, MINIMAL]), max_events=1)
    with pytest.raises(TooLarge, match="source and id"):
        structured(id="x" * 1100)
    with pytest.raises(TooLarge, match="attributes"):
        structured(extra="x" * 17_000)


def test_deep_nesting_does_not_exhaust_the_stack() -> None:
    deep = b"[" * 500_000 + b"]" * 500_000
    with pytest.raises(InvalidData, match="levels"):
        ce.binary(MINIMAL, deep, max_size=10**7)


# -- to the feed


def test_the_message_of_an_event_is_the_same_for_every_repetition() -> None:
    first = ce.to_message(structured(data={"a": 1, "b": 2.0}), "default", "user:ada", 1)
    again = ce.to_message(structured(data={"b": 2.0, "a": 1}, time="2026-11-23T12:00:00Z"), "default", "user:bob", 2)
    assert (first.id, first.digest, first.to) == (again.id, again.digest, again.to)
    assert first.to == "feed/urn:till"
    other = ce.to_message(structured(data={"a": 2}), "default", "user:ada", 1)
    assert other.id == first.id
    assert other.digest != first.digest
    assert ce.to_message(structured(), "acme", "user:ada", 1).id != ce.to_message(structured(), "default", "x", 1).id


def test_causation_correlation_and_trace_come_from_the_extensions() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    event = structured(causationid="urn:x 1", correlationid="order 5", traceparent=trace)
    message = ce.to_message(event, "default", "user:ada", 1)
    assert (message.causation, message.correlation, message.trace) == ("urn:x 1", "order 5", trace)
    alone = ce.to_message(structured(), "default", "user:ada", 1)
    assert (alone.causation, alone.correlation) == ("", alone.id)


# -- going out


def test_our_own_event_is_a_cloudevent() -> None:
    event = Event(
        5,
        "default",
        "account/1",
        2,
        "0198c5f0-0000-7000-8000-000000000000",
        "Deposited",
        1,
        b'{"amount":5}',
        "cause",
        "corr",
        1,
        1_700_000_000_123_456,
        None,
        b'{"labels":["private"]}',
        bytes(32),
    )
    assert ce.from_event(event) == {
        "specversion": "1.0",
        "id": "0198c5f0-0000-7000-8000-000000000000",
        "source": "/default/account/1",
        "type": "Deposited",
        "time": "2023-11-14T22:13:20.123456Z",
        "datacontenttype": "application/json",
        "correlationid": "corr",
        "causationid": "cause",
        "position": "5",
        "streamversion": "2",
        "schemaversion": "1",
        "tenant": "default",
        "stream": "account/1",
    }
    assert msgspec.json.decode(msgspec.json.encode(ce.render(event)))["data"] == {"amount": 5}
    assert ce.structured(msgspec.json.encode(ce.render(event))).data == event.data


def test_header_values_are_percent_encoded() -> None:
    assert ce.percent_encode("Euro € 😀") == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert ce.percent_encode('50% "x"') == "50%25%20%22x%22"
    assert ce.percent_decode('"a \\" b%20c"') == 'a " b c'
    assert ce.percent_decode("%41%zz") == "A%zz"
    with pytest.raises(InvalidData, match="UTF-8"):
        ce.percent_decode("%C0%A0")


texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1, max_size=20
).filter(lambda text: not FORBIDDEN.search(text))
names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(
    lambda n: n not in CORE | {"data", "position", "tenant", "stream", "streamversion", "schemaversion", "recordedtime"}
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@st.composite
def events(draw: st.DrawFn) -> CloudEvent:
    attributes: dict[str, Any] = MINIMAL | {
        "id": draw(texts),
        "source": draw(st.from_regex(r"[A-Za-z0-9._~:/?#@!$&'()*+,;=-]{1,30}", fullmatch=True)),
        "subject": draw(st.none() | texts),
        "time": draw(st.none() | st.datetimes().map(lambda t: t.isoformat() + "Z")),
        "dataschema": draw(st.none() | st.just("https://example.com/schema#1")),
        **draw(st.dictionaries(names, texts, max_size=3)),
    }
    media, content = draw(
        st.tuples(st.none() | st.just("application/json"), values.map(msgspec.json.encode))
        | st.tuples(st.sampled_from(["text/plain", "text/xml; charset=utf-8"]), st.text().map(str.encode))
        | st.tuples(st.sampled_from(["application/octet-stream", "image/png", "text/plain"]), st.binary())
    )
    return ce.binary({k: v for k, v in attributes.items() if v is not None}, content, media)


OURS = (
    "position",
    "streamversion",
    "schemaversion",
    "tenant",
    "stream",
    "recordedtime",
    "correlationid",
    "causationid",
)


def foreign(event: CloudEvent) -> CloudEvent:
    """Without what this system adds."""
    extensions = {name: value for name, value in event.extensions.items() if name not in OURS}
    return msgspec.structs.replace(event, extensions=extensions)


@given(events())
def test_a_recorded_event_is_rendered_unchanged_in_structured_mode(event: CloudEvent) -> None:
    out = msgspec.json.encode(ce.render(recorded(event)))
    again = foreign(ce.structured(out))
    assert again == msgspec.structs.replace(
        event,
        time=again.time if event.time is None else event.time,
        extensions=foreign(event).extensions,
    )


@given(events())
def test_a_recorded_event_is_rendered_unchanged_in_binary_mode(event: CloudEvent) -> None:
    row = recorded(event)
    headers = ce.headers(ce.from_event(row))
    assert all(value.isascii() and value.isprintable() and " " not in value for value in headers.values())
    attributes = {name.removeprefix("ce-"): ce.percent_decode(value) for name, value in headers.items()}
    again = foreign(ce.binary(attributes, ce.content(row)))
    assert again == msgspec.structs.replace(
        event,
        time=again.time if event.time is None else event.time,
        extensions=foreign(event).extensions,
    )


@given(st.text())
def test_percent_coding_is_lossless(text: str) -> None:
    assert ce.percent_decode(ce.percent_encode(text)) == text


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parsers(body: bytes) -> None:
    for parse in (ce.structured, ce.batch):
        with pytest.raises((InvalidData, InvalidName, TooLarge)):
            parse(body + b"!")
