"""`browser.read` with the machine's own Chromium, and the proxy by which alone it goes out."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import aiohttp
import msgspec
import pytest

from actors.tools.tool import Tool, ToolCallInfo, ToolError, ToolResult
from infra.tools.browser import browser_tools, chromium
from infra.tools.browser.chromium import LIMITS
from infra.tools.browser.proxy import GuardedProxy
from infra.tools.browser.tool import ReadPage
from infra.tools.web.guard import Guard
from tests.sandbox.victims import family
from tests.web.pages import Says, Site, site

CALL = ToolCallInfo("call/1", "key", "default", ["user:ada"])
WHY = "no Chromium on this machine: browser.read is not tried"
with_browser = pytest.mark.skipif(not chromium(), reason=WHY)


def tool(made: Site, **options: Any) -> Tool:
    [found] = browser_tools([f"127.0.0.1:{made.port}"], **options).tools
    return found


async def read(using: Tool, url: str) -> ToolResult:
    return await using.run(ReadPage(url), CALL)


def test_without_a_browser_there_is_no_tool_and_a_reason() -> None:
    found = browser_tools(program="")
    assert found.tools == []
    assert "no Chromium" in found.missing
    if not chromium():
        print(WHY)


@with_browser
async def test_it_shows_what_scripts_made_and_not_what_styles_hide() -> None:
    async with site() as made:
        made.pages["/app"] = """<title>App</title><style>.h{display:none} .t{font-size:0}</style>
        <div id=a>loading</div><p class=h>planted one</p><p class=t>planted two</p>
        <script>a.innerHTML = '<h1>Made by a script</h1>'</script>"""
        result = await read(tool(made), made.url + "/app")
    assert "# Made by a script" in result.value["text"]
    assert "planted" not in result.text
    assert (result.value["status"], result.value["title"], result.label) == (200, "App", "untrusted/public")


@with_browser
async def test_a_page_that_asks_somebody_is_answered_and_read() -> None:
    async with site() as made:
        made.pages["/asks"] = "<p id=a>waits</p><script>a.textContent = 'it was told ' + confirm('really?')</script>"
        result = await read(tool(made), made.url + "/asks")
    assert "it was told false" in result.text


@with_browser
async def test_a_page_reaches_nothing_inside_by_any_way() -> None:
    async with site() as made, site() as victim:
        there = f"127.0.0.1:{victim.port}"
        made.pages["/attack"] = f"""<div id=a>waiting</div><iframe src="http://{there}/frame"></iframe>
        <img src="http://{there}/image"><link rel=stylesheet href="http://{there}/style">
        <script src="http://{there}/script"></script><link rel=preconnect href="http://{there}"><link rel=prefetch href="http://{there}/prefetch"><script>
        const tries = ['127.0.0.1', 'localhost', '[::1]', '0.0.0.0', '127.1'].map(host => host + ':{victim.port}');
        for (const t of tries) {{ try {{ new WebSocket('ws://' + t + '/socket') }} catch (e) {{}} }}
        navigator.sendBeacon('http://{there}/beacon', 'x');
        try {{
          new RTCPeerConnection({{iceServers: [{{urls: 'stun:{there}'}}]}}).createDataChannel('x');
        }} catch (e) {{}}
        Promise.allSettled(tries.map(t => fetch('http://' + t + '/fetch', {{mode: 'no-cors'}})))
          .then(all => a.textContent = all.map(one => one.status).join(' '));</script>"""
        result = await read(tool(made), made.url + "/attack")
    assert victim.asked == []
    assert "rejected rejected rejected rejected rejected" in result.text
    assert any(str(victim.port) in line for line in result.value["blocked"])


@with_browser
async def test_a_page_that_leads_inside_is_blocked() -> None:
    async with site() as made, site() as victim:
        made.elsewhere = victim.url
        made.pages["/script"] = f"<script>location = '{victim.url}/'</script>"
        for path in ("/elsewhere", "/script"):
            with pytest.raises(ToolError) as blocked:
                await read(tool(made), made.url + path)
            assert blocked.value.code == "blocked"
        with pytest.raises(ToolError) as refused:
            await read(tool(made), victim.url)
    assert refused.value.code == "blocked"
    assert victim.asked == []


@with_browser
async def test_a_page_that_never_ends_or_fills_the_memory_is_given_up_and_nothing_is_left() -> None:
    async with site() as made:
        made.pages["/loop"] = "<script>for (;;) {}</script>"
        made.pages["/fill"] = (
            "<script>const all = []; setInterval(() => all.push(new Uint8Array(1 << 26).fill(1)), 5)</script>"
        )
        with pytest.raises(ToolError) as slow:
            await read(tool(made, seconds=4.0), made.url + "/loop")
        with pytest.raises(ToolError) as large:
            await read(tool(made, limits=msgspec.structs.replace(LIMITS, memory=400 << 20)), made.url + "/fill")
    assert slow.value.code == "timeout"
    assert "memory" in str(large.value)
    assert not [each for each in family(os.getpid()) if "launcher.py" in " ".join(each.cmdline())]


# -- the proxy by itself


async def by_proxy(proxy: GuardedProxy, url: str, method: str = "GET") -> int:
    async with aiohttp.ClientSession() as session, session.request(method, url, proxy=proxy.url) as response:
        await response.read()
        return response.status


async def test_the_proxy_passes_what_is_permitted_and_nothing_else() -> None:
    async with site() as made, site() as victim, GuardedProxy(Guard([f"127.0.0.1:{made.port}"])) as proxy:
        assert await by_proxy(proxy, made.url + "/json") == 200
        assert await by_proxy(proxy, made.url + "/missing") == 404
        for url, method in ((victim.url, "GET"), (proxy.url, "GET"), (made.url + "/json", "POST")):
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await by_proxy(proxy, url, method)
    assert len(set(proxy.blocked)) == 3
    assert victim.asked == []
    assert made.asked == ["GET /json", "GET /missing"]


@pytest.mark.parametrize("where", ["127.0.0.1:22", "localhost:443", "[::1]:443", "0x7f.1:443", "rebind.example:443"])
async def test_a_tunnel_to_a_place_inside_is_refused(where: str) -> None:
    async with GuardedProxy(Guard(resolver=Says(["127.0.0.1"]))) as proxy:
        port = int(proxy.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.1 502"))


async def test_what_passes_through_the_proxy_is_bounded() -> None:
    async with site() as made, GuardedProxy(Guard([f"127.0.0.1:{made.port}"]), most=100_000) as proxy:
        with pytest.raises(aiohttp.ClientError):
            await by_proxy(proxy, made.url + "/large")
