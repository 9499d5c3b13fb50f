"""POST /v1/events: CloudEvents in every mode, acknowledged after the commit, once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from events.errors import StoreUnavailable
from tests.gateway.site import Site, event, serving

STRUCTURED = {"Content-Type": "application/cloudevents+json"}


async def test_a_structured_event_is_recorded_and_answered_with_its_position(site: Site) -> None:
    status, _, body = await site.call("POST", "/v1/events", data=msgspec.json.encode(event("a")), headers=STRUCTURED)
    assert (status, body) == (200, {"events": [{"id": "a", "position": 1}]})
    (stored,) = await site.store.read(0, 10)
    assert (stored.id, stored.type, stored.stream, stored.version) == ("/test a", "Noticed", "feed/test", 1)
    assert stored.data == b'{"n":1}'


async def test_a_binary_event_is_recorded_with_its_attributes(site: Site) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "b%20%E2%82%AC",
        "ce-source": "/test",
        "ce-type": "Noticed",
        "ce-subject": "x",
        "ce-correlationid": "order-7",
        "Content-Type": "application/json",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }
    status, _, body = await site.call("POST", "/v1/events", data=b'{"n": 2}', headers=headers)
    assert (status, body) == (200, {"events": [{"id": "b €", "position": 1}]})
    (shown,) = (await site.get("/v1/events"))["events"]
    assert shown["id"] == "b €"
    assert shown["source"] == "/test"
    assert shown["subject"] == "x"
    assert shown["correlation"] == "order-7"
    assert shown["trace"] == headers["traceparent"]
    assert shown["data"] == {"n": 2}


async def test_a_batch_is_answered_in_its_order(site: Site) -> None:
    status, body = await site.publish(*(event(str(n), source=f"/s{n % 3}") for n in range(300)))
    assert status == 200
    assert [item["id"] for item in body["events"]] == [str(n) for n in range(300)]
    assert sorted(item["position"] for item in body["events"]) == list(range(1, 301))
    of_one = [item["position"] for item in body["events"][::3]]
    assert of_one == sorted(of_one), "events of one source keep their order"


async def test_the_same_source_and_id_get_the_same_position_whatever_the_mode(site: Site) -> None:
    await site.publish(event("x"), event("a"))
    status, body = await site.publish(event("a"))
    assert (status, body) == (200, {"events": [{"id": "a", "position": 2, "duplicate": True}]})
    headers = {"ce-specversion": "1.0", "ce-id": "a", "ce-source": "/test", "ce-type": "Noticed"}
    headers["Content-Type"] = "application/json"
    status, _, body = await site.call("POST", "/v1/events", data=b' {"n" : 1} ', headers=headers)
    assert body["events"][0]["position"] == 2
    assert await site.store.head() == 2


async def test_the_same_id_of_another_source_is_another_event(site: Site) -> None:
    _, body = await site.publish(event("a"), event("a", source="/other"))
    assert [item["position"] for item in body["events"]] == [1, 2]


async def test_the_same_id_with_another_body_is_a_conflict(site: Site) -> None:
    await site.publish(event("a"))
    status, body = await site.publish(event("a", data={"n": 2}))
    assert (status, body["code"]) == (409, "key-reused")
    assert await site.store.head() == 1


async def test_nothing_of_a_batch_with_one_bad_event_is_sent(site: Site) -> None:
    status, body = await site.publish(event("a"), event("b", source=""), event("c"))
    assert (status, body["code"]) == (400, "invalid-data")
    assert "event 1" in body["detail"]
    assert await site.store.head() == 0


async def test_a_registered_type_is_held_against_its_schema_and_others_stay_raw(site: Site) -> None:
    status, body = await site.publish(event("a", "Measured", data={"celsius": "warm"}))
    assert (status, body["code"]) == (400, "invalid-data")
    assert "Measured" in body["detail"]
    assert "celsius" in body["detail"]
    status, _ = await site.publish(event("a", "Measured", data={"celsius": 20.5}), event("b", "Anything", data=[1]))
    assert status == 200
    measured, anything = await site.store.read(0, 10)
    assert (measured.schema, anything.data) == (2, b"[1]")


async def test_an_older_schema_version_is_accepted_and_an_unknown_one_is_not(site: Site) -> None:
    status, _ = await site.publish(event("a", "Measured", schemaversion="1", data={"kelvin": 300}))
    assert status == 200
    assert (await site.store.read(0, 1))[0].schema == 1
    for version in ("3", "0", "x", "99999999999999999999"):
        status, body = await site.publish(event("b", "Measured", schemaversion=version, data={"celsius": 1.0}))
        assert (status, body["code"]) == (400, "invalid-data"), version
        assert "version" in body["detail"]


async def test_the_kernels_own_types_cannot_be_forged(site: Site) -> None:
    status, body = await site.publish(event("a", "ActorParked", data={}))
    assert (status, body["code"]) == (400, "invalid-data")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"specversion":"1.0","id":"a","source":"/s","type":"T","data":"\xff"}', "UTF-8"),
        (b'{"specversion":"0.3","id":"a","source":"/s","type":"T"}', "specversion"),
        (b'{"specversion":"1.0","source":"/s","type":"T"}', "id"),
        (b'{"specversion":"1.0","id":"a","source":"/s","type":"no spaces"}', "type"),
        (b'{"specversion":"1.0","id":"a\\u0000","source":"/s","type":"T"}', "id"),
        (b'{"specversion":"1.0","id":"a","id":"b","source":"/s","type":"T"}', "twice"),
        (b'{"specversion":"1.0","id":"a","source":"/s","type":"T","data":{"k":1,"k":2}}', "twice"),
        (b'{"specversion":"1.0","id":"a","source":"/s","type":"T","data":NaN}', "JSON"),
        (b'{"specversion":"1.0","id":"a","source":"/s","type":"T","data":"\\ud800"}', "JSON"),
        (b'{"specversion":"1.0","id":"a","source":"/s","type":"T","data":' + b"[" * 65 + b"]" * 65 + b"}", "deep"),
        (b'{"specversion":"1.0","id":"a","source":"/s","type":"T","data":' + b"[" * 200_000, "JSON|deep"),
        (b'{"specversion":"1.0","id":"a","source":"/s","type":"T","data":' + b"9" * 5000 + b"}", "number|JSON"),
        (b"", "JSON"),
        (b"[]", "CloudEvent|object"),
        (b"{", "JSON"),
    ],
)
async def test_bad_events_are_refused_with_a_reason(site: Site, content: bytes, says: str) -> None:
    status, headers, body = await site.call("POST", "/v1/events", data=content, headers=STRUCTURED)
    assert status == 400
    assert headers["Content-Type"] == "application/problem+json"
    assert any(word.lower() in body["detail"].lower() for word in says.split("|")), body
    assert await site.store.head() == 0


async def test_nesting_up_to_the_limit_is_fine(site: Site) -> None:
    data: Any = 1
    for _ in range(64):
        data = [data]
    status, _ = await site.publish(event("a", data=data))
    assert status == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_above_the_limit_is_refused_without_being_read(chunked: bool) -> None:
    async with serving(max_event=1000, max_batch=2000) as site:

        async def pieces() -> Any:
            for _ in range(100):
                yield b" " * 1000

        content = pieces() if chunked else b" " * 100_000
        status, _, body = await site.call("POST", "/v1/events", data=content, headers=STRUCTURED)
        assert (status, body["code"]) == (413, "too-large")
        status, body = await site.publish(event("a", data="x" * 1200))
        assert (status, body["code"]) == (413, "too-large")
        assert await site.store.head() == 0


async def test_a_batch_of_too_many_events_is_refused() -> None:
    async with serving(max_batch_events=10) as site:
        status, body = await site.publish(*(event(str(n)) for n in range(11)))
        assert (status, body["code"]) == (413, "too-large")
        assert await site.store.head() == 0


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_that_is_no_cloudevent_by_its_content_type_is_refused(site: Site, kind: str) -> None:
    content = msgspec.json.encode(event("a"))
    headers = {"Content-Type": kind} if kind else {}
    status, _, body = await site.call(
        "POST", "/v1/events", data=content, headers=headers, skip_auto_headers=["Content-Type"]
    )
    assert (status, body["code"]) == (415, "unsupported-media-type")
    assert "application/cloudevents+json" in body["hint"]


async def test_compressed_bodies_and_other_charsets_are_refused(site: Site) -> None:
    for more in ({"Content-Encoding": "gzip"}, {"Content-Type": "application/cloudevents+json; charset=latin-1"}):
        status, _, body = await site.call("POST", "/v1/events", data=b"x", headers=STRUCTURED | more)
        assert (status, body["code"]) == (415, "unsupported-media-type")


async def test_binary_data_comes_back_as_it_was(site: Site) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "a", "ce-source": "/s", "ce-type": "Blob", "Content-Type": "image/png"}
    await site.call("POST", "/v1/events", data=b"\x89PNG\xff", headers=headers)
    (shown,) = (await site.get("/v1/events"))["events"]
    assert (shown["data"], shown["data_base64"], shown["datacontenttype"]) == (None, "iVBOR/8=", "image/png")


async def test_a_header_given_twice_is_refused(site: Site) -> None:
    head = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: close\r\n"
    head += b"ce-specversion: 1.0\r\nce-id: a\r\nCE-ID: b\r\nce-source: /s\r\nce-type: T\r\n\r\n1"
    answer = await site.raw(head)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"twice" in answer


async def test_each_event_of_a_batch_keeps_its_own_position_when_it_is_sent_again(site: Site) -> None:
    _, first = await site.publish(event("a"), event("b"), event("c"))
    _, again = await site.publish(event("a"), event("b"), event("c"))
    assert [item["position"] for item in again["events"]] == [item["position"] for item in first["events"]]


async def test_a_batch_recorded_in_part_says_which_and_may_be_sent_again(site: Site) -> None:
    class Flaky:
        def __init__(self) -> None:
            self.failing = True

        async def ask(self, message: Any) -> Any:
            if self.failing and message.to == "feed/down":
                raise StoreUnavailable("the disk is full")
            return await site.host.ask(message)

    flaky = Flaky()
    site.door.client = flaky  # pyright: ignore[reportAttributeAccessIssue]
    events = [event("a"), event("b", source="/down"), event("c", source="/up")]
    status, body = await site.publish(*events)
    assert (status, body["code"]) == (503, "partial")
    assert [("position" in item) for item in body["events"]] == [True, False, True]
    assert body["events"][1]["error"]["code"] == "store-unavailable"
    flaky.failing = False
    status, body = await site.publish(*events)
    assert status == 200
    assert sorted(item["position"] for item in body["events"]) == [1, 2, 3]
