"""One look at one page: go there, wait until it is quiet, take what a person would see."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import msgspec

from actors.tools.tool import ToolError
from infra.tools.browser.devtools import DevTools, Gone

_TAKE: Final = """
(most => {
  const gone = [];
  for (const element of document.querySelectorAll('body *')) {
    const style = getComputedStyle(element);
    if (style.display === 'none' || style.visibility !== 'visible' || style.opacity === '0') gone.push(element);
    else if (parseFloat(style.fontSize) < 1) gone.push(element);
  }
  for (const element of gone) element.remove();
  const html = document.documentElement ? document.documentElement.outerHTML : '';
  return JSON.stringify({html: html.slice(0, most), size: html.length, title: document.title.slice(0, 300)});
})
"""
"""Runs in a world of its own, where a page's scripts have changed nothing."""

_QUIET: Final = frozenset({"networkIdle", "networkAlmostIdle"})


class Seen(msgspec.Struct):
    """What was there. `url` is where the browser ended up; `size` the characters of the whole document."""

    url: str
    status: int
    kind: str
    html: str
    size: int
    title: str


class _Taken(msgspec.Struct):
    html: str
    size: int
    title: str


async def look(
    tools: DevTools, url: str, *, load: float = 15.0, settle: float = 3.0, most: int = 4 * 1024 * 1024
) -> Seen:
    """Read the page at `url`: `load` seconds for it to load, `settle` more for it to become quiet.

    Raises ToolError.
    """
    await tools.call("Browser.setDownloadBehavior", {"behavior": "deny"})
    made = await tools.call("Target.createTarget", {"url": "about:blank"})
    attached = await tools.call("Target.attachToTarget", {"targetId": made["targetId"], "flatten": True})
    session = str(attached["sessionId"])
    for domain in ("Page", "Network"):
        await tools.call(f"{domain}.enable", None, session)
    await tools.call("Page.setLifecycleEventsEnabled", {"enabled": True}, session)
    gone = await tools.call("Page.navigate", {"url": url}, session)
    if gone.get("errorText"):
        raise ToolError(f"{url}: {gone['errorText']}", code="unreachable")
    frame = str(gone["frameId"])
    response = await _wait(tools, session, frame, load, settle)
    tree = await tools.call("Page.getFrameTree", None, session)
    here = str(tree["frameTree"]["frame"]["url"])
    world = await tools.call("Page.createIsolatedWorld", {"frameId": frame, "worldName": "reader"}, session)
    taken = await tools.call(
        "Runtime.evaluate",
        {"expression": f"({_TAKE})({most})", "contextId": world["executionContextId"], "returnByValue": True},
        session,
    )
    try:
        found = msgspec.json.decode(str(taken["result"]["value"]), type=_Taken)
    except (KeyError, msgspec.MsgspecError):
        raise Gone("the page could not be read") from None
    return Seen(
        here, int(response.get("status") or 0), str(response.get("mimeType") or ""), found.html, found.size, found.title
    )


async def _wait(tools: DevTools, session: str, frame: str, load: float, settle: float) -> dict[str, Any]:
    """Until the page has loaded and is quiet, or its time is over; what the server answered for the document."""
    end = time.monotonic() + load
    response: dict[str, Any] = {}
    loaded = False
    while (left := end - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(left):
                method, params = await tools.events.get()
        except TimeoutError:
            break
        if method == "gone":
            raise Gone(tools.why)
        if method == "Page.javascriptDialogOpening":  # nobody is there to answer it, and the page waits until then
            await tools.call("Page.handleJavaScriptDialog", {"accept": False}, session)
        elif method == "Network.responseReceived" and params["type"] == "Document" and params.get("frameId") == frame:
            response = params["response"]
        elif method == "Page.loadEventFired" and not loaded:
            loaded = True
            end = min(end, time.monotonic() + settle)
        elif method == "Page.lifecycleEvent" and loaded and params["frameId"] == frame and params["name"] in _QUIET:
            break
    return response
