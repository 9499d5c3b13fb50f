"""The client of the HTTP interface: problems become the errors they came from, and a live stream is taken up again."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from aiohttp import web

from events import errors
from events.errors import ThespisError
from gateway.cli.find import Place
from gateway.cli.http import Api, Broken, NoServer, path, problem_error
from gateway.cli.reading import follow, pages
from gateway.problems import PROBLEMS, Declined, NotValid, Partial, problem, row
from tests.cli.fake import FakeInstance


@pytest.mark.parametrize("kind", [kind for kind in PROBLEMS if kind is not ThespisError], ids=lambda kind: kind.code)
def test_every_problem_comes_back_as_the_error_it_came_from(kind: type[ThespisError]) -> None:
    error = kind.__new__(kind)
    ThespisError.__init__(error, "what is wrong", hint="the way out", retry_after=7.0)
    if isinstance(error, errors.Refused):
        error.reason_code = "overdraft"
    if isinstance(error, Declined | Partial | NotValid):
        error.extra = {}
    found = problem_error(row(kind).status, msgspec.json.encode(problem(error)))
    assert (found.code, found.message, found.hint) == (kind.code, "what is wrong", "the way out")
    assert row(type(found)).exit == row(kind).exit
    assert found.retry_after == 7.0
    if isinstance(found, errors.Refused):
        assert found.reason_code == "overdraft"


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (500, b"<html>", ThespisError, "error"),
        (500, b'{"code":"internal","detail":"a bug"}', ThespisError, "internal"),
        (502, b"", errors.Unavailable, "unavailable"),
        (404, b"[]", errors.NotFound, "not-found"),
        (418, b'{"code":"teapot"}', errors.Invalid, "teapot"),
        (302, b"", errors.Invalid, "invalid"),
    ],
)
def test_answers_of_strangers_are_understood_as_far_as_they_go(
    status: int, body: bytes, kind: type[ThespisError], code: str
) -> None:
    found = problem_error(status, body)
    assert (type(found), found.code) == (kind, code)


def test_paths_keep_what_is_in_a_name() -> None:
    assert path("actors", "feed", "a/b c%") == "/v1/actors/feed/a%2Fb%20c%25"


async def test_pages_are_asked_for_until_there_is_no_more(instance: FakeInstance) -> None:
    for number in range(8):
        instance.record({"id": str(number), "source": "/shop", "type": "Sold", "data": number})
    async with Api(Place(instance.url)) as api:
        assert [event["data"] async for event in pages(api, 0, 100, {})] == list(range(8))
        assert [event["data"] async for event in pages(api, 2, 4, {})] == [2, 3, 4, 5]
    assert sum("/v1/events?" in asked for _, asked in instance.requests) == 5


async def test_a_live_stream_that_breaks_is_taken_up_without_a_gap_or_a_double(instance: FakeInstance) -> None:
    for number in range(7):
        instance.record({"id": str(number), "source": "/shop", "type": "Sold", "data": number})
    found: list[Any] = []
    async with Api(Place(instance.url)) as api, asyncio.timeout(20):
        async for event in follow(api, 0, {}):
            found.append(event["position"])
            if len(found) == 7:
                break
    assert found == list(range(1, 8))
    assert sum(asked == "/v1/events/stream" for _, asked in instance.requests) == 4


async def test_following_from_now_misses_nothing_however_early_the_connection_breaks(instance: FakeInstance) -> None:
    instance.record({"id": "old", "source": "/shop", "type": "Sold", "data": 0})
    broken: list[str] = []

    def fault(request: web.Request) -> web.Response | None:
        if request.path == "/v1/events/stream" and not broken:
            instance.record({"id": "new", "source": "/shop", "type": "Sold", "data": 1})
            broken.append(request.path)
            raise errors.Busy("the door is closing", retry_after=0.1)
        return None

    instance.fault = fault
    async with Api(Place(instance.url)) as api, asyncio.timeout(20):
        async for event in follow(api, None, {}):
            assert event["id"] == "new"
            break


async def test_a_problem_in_the_middle_of_a_stream_is_raised(instance: FakeInstance) -> None:
    def fault(request: web.Request) -> web.Response | None:
        if request.path != "/v1/events/stream":
            return None
        document = msgspec.json.encode(problem(errors.Corrupt("the log contradicts itself"))).decode()
        return web.Response(text=f"event: problem\ndata: {document}\n\n", content_type="text/event-stream")

    instance.fault = fault
    async with Api(Place(instance.url)) as api, asyncio.timeout(20):
        with pytest.raises(errors.Corrupt):
            async for _ in follow(api, 0, {}):
                pass


async def test_what_was_sent_and_not_answered_is_told_from_what_was_never_sent(instance: FakeInstance) -> None:
    def vanish(request: web.Request) -> web.Response | None:
        if request.transport is not None:
            request.transport.abort()
        return None

    instance.fault = vanish
    async with Api(Place(instance.url)) as api:
        with pytest.raises(Broken) as caught:
            await api.post("/v1/events", {})
        assert isinstance(caught.value, errors.OutcomeUnknown)
        with pytest.raises(errors.Unavailable):
            await api.get("/v1/events")
    async with Api(Place("http://127.0.0.1:1")) as api:
        with pytest.raises(NoServer):
            await api.post("/v1/events", {})


async def test_a_page_that_is_no_json_is_no_instance(instance: FakeInstance) -> None:
    instance.fault = lambda _request: web.Response(text="hello")
    async with Api(Place(instance.url)) as api:
        with pytest.raises(errors.Invalid, match="did not answer with JSON"):
            await api.get("/v1/events")
