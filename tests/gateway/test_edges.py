"""Methods, paths, parameters and content negotiation: whatever is asked wrongly gets one clear answer."""

from __future__ import annotations

import pytest

from gateway.http.negotiate import check_accept, wait_preference
from gateway.problems import NotAcceptable
from tests.gateway.site import Site


async def test_an_unknown_path_is_not_found(site: Site) -> None:
    for path in ("/", "/v1", "/v1/nothing", "/v1/actors/", "/v1/actors/counter", "/v2/events", "/v1/events/x"):
        status, headers, body = await site.call("GET", path)
        assert (status, body["code"]) == (404, "not-found"), path
        assert headers["Content-Type"] == "application/problem+json"
        assert body["status"] == 404
        assert body["type"].endswith("/not-found")
        assert body["instance"] == path


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/events", {"GET", "HEAD", "POST"}),
        ("POST", "/v1/events/stream", {"GET", "HEAD"}),
        ("DELETE", "/v1/actors/counter/one", {"GET", "HEAD"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
        ("GET", "/v1/projections/events/rebuild", {"POST"}),
        ("PATCH", "/v1/projections", {"GET", "HEAD"}),
    ],
)
async def test_a_method_that_does_not_exist_names_those_that_do(
    site: Site, method: str, path: str, allow: set[str]
) -> None:
    status, headers, body = await site.call(method, path)
    assert (status, body["code"]) == (405, "method-not-allowed")
    assert set(headers["Allow"].split(",")) == allow


async def test_head_answers_as_get_without_a_body(site: Site) -> None:
    for path in ("/healthz", "/v1/events", "/openapi.json", "/v1/projections"):
        get = await site.call("GET", path)
        head = await site.call("HEAD", path)
        assert (head[0], head[2]) == (200, b"")
        assert head[1]["Content-Type"] == get[1]["Content-Type"]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v1/events?aftr=1", "did you mean after?"),
        ("/v1/events?typ=X", "did you mean type?"),
        ("/v1/events?zzzzzzz=1", "parameters are after, limit, type, stream, correlation"),
        ("/v1/actors/counter/one?version=1", "parameters are at"),
        ("/healthz?x=1", "this route takes no parameters"),
        ("/v1/projections/events?wher=x", "did you mean where?"),
    ],
)
async def test_an_unknown_parameter_is_refused_with_the_nearest_name(site: Site, path: str, hint: str) -> None:
    status, _, body = await site.call("GET", path)
    assert (status, body["code"], body["hint"]) == (400, "unknown-parameter", hint)


@pytest.mark.parametrize(
    "query",
    [
        *("after=-1", "after=x", "after=1.0", "after=1_0", "after=%201", "after=", "after=9223372036854775808"),
        *("after=1&after=2", "limit=0", "limit=x", "type=no%20type", "stream=nowhere", "stream=Bad/x"),
    ],
)
async def test_a_bad_parameter_is_refused(site: Site, query: str) -> None:
    status, _, body = await site.call("GET", f"/v1/events?{query}")
    assert status == 400, body
    assert body["code"] in ("invalid-data", "invalid-name")


async def test_a_page_is_never_longer_than_allowed(site: Site) -> None:
    assert (await site.call("GET", "/v1/events?limit=9223372036854775807"))[0] == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml, text/plain", "application/json;q=0", "image/*"])
async def test_what_cannot_be_produced_is_not_acceptable(site: Site, accept: str) -> None:
    status, _, body = await site.call("GET", "/v1/events", headers={"Accept": accept})
    assert (status, body["code"]) == (406, "not-acceptable")


def test_accept_is_read_as_the_specification_says() -> None:
    for header in ("", "*/*", "application/*", "text/html, application/json;q=0.1", "text/html, */*;q=0.1", None):
        check_accept(header, "application/json")
    for header in ("application/json;q=0, */*", "application/*;q=0, */*", "application/json;q=x", "text/*"):
        with pytest.raises(NotAcceptable):
            check_accept(header, "application/json")


def test_the_wait_preference_is_found_among_others() -> None:
    assert wait_preference(None) is None
    assert wait_preference("respond-async") is None
    assert wait_preference("respond-async, wait=10") == 10
    assert wait_preference('return=minimal; x=1, Wait="2.5"') == 2.5


@pytest.mark.parametrize("kind", ["", "text/plain", "application/cloudevents+json"])
async def test_a_message_must_be_json_by_its_content_type(site: Site, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    status, _, body = await site.call(
        "POST",
        "/v1/actors/counter/one/ask",
        data=b'{"message":"Add","data":{"amount":1}}',
        headers=headers,
        skip_auto_headers=["Content-Type"],
    )
    assert (status, body["code"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"message":"Add","message":"Add","data":{}}', "twice"),
        (b'{"message":"Add","data":' + b'{"a":' * 80 + b"1" + b"}" * 80 + b"}", "deep"),
        (b'{"message":"\xff"}', "UTF-8"),
        (b"\xef\xbb\xbf{}", "JSON"),
        (b"", "JSON"),
    ],
)
async def test_a_message_is_strict_json(site: Site, content: bytes, says: str) -> None:
    headers = {"Content-Type": "application/json"}
    status, _, body = await site.call("POST", "/v1/actors/counter/one/ask", data=content, headers=headers)
    assert (status, body["code"]) == (400, "invalid-data")
    assert says in body["detail"]


async def test_a_path_cannot_climb(site: Site) -> None:
    for path in (b"/v1/actors/counter/../../../etc/passwd", b"/v1/actors/counter/%2e%2e/%2e%2e/x", b"//v1//events"):
        answer = await site.raw(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("path", ["/v1/actors/counter/%FF", "/v1/actors/counter/%00", "/v1/lineage/%FF%FE"])
async def test_paths_that_are_no_text_are_refused(site: Site, path: str) -> None:
    answer = await site.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 4"), answer
