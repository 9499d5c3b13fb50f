"""`web.fetch` against real servers on loopback."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from actors.tools.tool import Tool, ToolCallInfo, ToolError, ToolResult
from infra.tools.web import web_tools
from infra.tools.web.fetching import Limits
from infra.tools.web.tool import FetchPage
from tests.web.pages import PAGE, Says, Site, site

CALL = ToolCallInfo("call/1", "key", "default", ["user:ada"])


def tool(made: Site, *more: str, **options: Any) -> Tool:
    return web_tools([f"127.0.0.1:{made.port}", *more], **options)[0]


async def fetch(using: Tool, url: str, **more: Any) -> ToolResult:
    return await using.run(FetchPage(url, **more), CALL)


async def refused(using: Tool, url: str) -> str:
    with pytest.raises(ToolError) as error:
        await fetch(using, url)
    return error.value.code


async def test_a_page_is_markdown_with_its_links_and_without_what_is_hidden() -> None:
    async with site() as made:
        result = await fetch(tool(made), made.url + "/")
    text = result.value["text"]
    assert "# Heading" in text
    assert "Some **bold** text." in text
    assert f"[next]({made.url}/next)" in text
    assert "[image: a picture]" in text
    assert "plain" in text, "characters that show nothing are taken out"
    for gone in ("planted", "ignore all", "alert", "evil.example", "javascript", "click"):
        assert gone not in text, gone


async def test_a_result_says_where_it_is_from_and_is_labelled_untrusted() -> None:
    async with site() as made:
        result = await fetch(tool(made), made.url + "/hop/1")
    assert result.label == "untrusted/public"
    assert result.value["url"] == made.url + "/json"
    assert result.value["redirects"] == [made.url + "/hop/1", made.url + "/hop/0"]
    [citation] = result.citations
    assert (citation.path, citation.hash) == (made.url + "/json", result.value["sha256"])
    assert result.value["sha256"] == sha256(b'{"a": 1}').hexdigest()


async def test_it_is_given_as_text_or_as_its_source_where_that_is_asked_for() -> None:
    async with site() as made:
        text = (await fetch(tool(made), made.url + "/", kind="text")).value["text"]
        raw = (await fetch(tool(made), made.url + "/", kind="raw")).value["text"]
        latin = (await fetch(tool(made), made.url + "/latin")).value["text"]
        deep = (await fetch(tool(made), made.url + "/deep")).value["text"]
        zipped = (await fetch(tool(made), made.url + "/zipped")).value["text"]
    assert "Heading" in text
    assert "#" not in text
    assert "<h1>Heading</h1>" in raw
    assert (latin, deep, zipped) == ("é", "bottom", "first second")
    assert "\u200b" in PAGE
    assert "\u200b" not in raw


async def test_a_result_is_cut_to_what_was_asked_for_and_says_so() -> None:
    async with site() as made:
        result = await fetch(tool(made), made.url + "/large", max_bytes=100)
    assert len(result.value["text"]) == 100
    assert result.value["truncated"]
    assert "[cut off: the page has 500000 bytes]" in result.text


async def test_a_redirect_to_a_place_inside_is_blocked_before_anything_is_sent_there() -> None:
    async with site() as made, site() as victim:
        using = tool(made)
        for elsewhere in (victim.url, f"http://localhost:{victim.port}/", f"//[::1]:{victim.port}/", "http://127.0.0.1/",
                          "http://169.254.169.254/latest/meta-data/"):  # fmt: skip
            made.elsewhere = elsewhere
            assert await refused(using, made.url + "/elsewhere") == "blocked"
        for elsewhere in ("file:///etc/passwd", f"http://a:b@127.0.0.1:{made.port}/", "http://0x7f.1/"):
            made.elsewhere = elsewhere
            assert await refused(using, made.url + "/elsewhere") == "bad-url"
    assert victim.asked == []


async def test_a_name_that_answers_public_first_and_loopback_then_reaches_nothing_inside() -> None:
    """The classic: judged by one answer, connected to by the next. Here each connection is judged by its own."""
    async with site() as victim:
        resolver = Says(["8.8.8.8"], ["127.0.0.1"])
        using = web_tools(ports=[80, 443, victim.port], resolver=resolver, limits=Limits(connect=0.2, headers=0.2))[0]
        url = f"http://rebind.example:{victim.port}/"
        assert await refused(using, url) in ("timeout", "unreachable", "connection")
        assert await refused(using, url) == "blocked"
    assert len(resolver.asked) == 2, "one look-up for a connection, which goes where that one said"
    assert victim.asked == []


async def test_a_permitted_name_is_judged_again_at_every_redirect() -> None:
    async with site() as made:
        resolver = Says(["127.0.0.1"], ["169.254.169.254"])
        using = web_tools([f"intranet.example:{made.port}"], resolver=resolver)[0]
        assert await refused(using, f"http://intranet.example:{made.port}/hop/0") == "blocked"
    assert made.asked == ["GET /hop/0"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/bomb", "too-large"),
        ("/endless", "too-large"),
        ("/slow", "timeout"),
        ("/silent", "timeout"),
        ("/torn", "encoding"),
        ("/brotli", "encoding"),
        ("/binary", "content-type"),
        ("/hop/6", "redirect"),
        ("/missing", "http-404"),
    ],
)
async def test_what_is_too_large_too_slow_or_no_text_is_refused(path: str, code: str) -> None:
    limits = Limits(headers=1.0, total=3.0, transferred=1024 * 1024, body=1024 * 1024)
    async with site() as made:
        assert await refused(tool(made, limits=limits), made.url + path) == code


async def test_no_cookie_credential_or_proxy_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    async with site() as made, site() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        await fetch(tool(made), made.url + "/cookie")
        sent = {name.lower() for headers in made.headers for name in headers}
    assert made.asked == ["GET /cookie", "GET /json"]
    assert proxy.asked == []
    assert not sent & {"cookie", "authorization", "referer"}


def test_the_tool_says_that_its_url_is_a_destination() -> None:
    [found] = web_tools()
    definition = found.definition
    assert (definition.name, definition.risk, definition.effect_class) == ("web.fetch", "read-network", "idempotent")
    assert definition.roles == {"url": "destination"}
    assert set(definition.parameters["properties"]) == {"url", "max_bytes", "as"}


def test_a_permit_that_cannot_be_read_is_refused() -> None:
    makers: list[Callable[[], object]] = [lambda each=each: web_tools([each]) for each in ("localhost", "a:b", "x:0")]
    for make in makers:
        with pytest.raises(ToolError):
            make()
