"""A Chromium of its own for one page, in the sandbox: an empty profile, a pipe to steer it by, one way out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from infra.sandbox.sandbox import Sandbox, start
from infra.sandbox.starting import Limits, Started
from infra.tools.browser.devtools import DevTools, Gone
from infra.tools.browser.proxy import GuardedProxy

PLACES: Final = (
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/usr/bin/google-chrome-stable",
)
LEAST: Final = "mounts"
"""The weakest level of the sandbox with a network of its own, and so the weakest that a browser starts at."""
DOOR: Final = 3128
"""The port of the proxy, on the loopback of the sandbox."""
LIMITS: Final = Limits(
    cpu=120.0, wall=120.0, memory=1536 << 20, each=8 << 30, processes=500, files=4096, file_size=1 << 30,
    scratch=256 << 20, interval=0.1,
)  # fmt: skip
"""What a browser with one page gets. Each of its processes asks for much address space and uses little of it."""

_READS: Final = ("/etc/chromium", "/etc/chromium.d", "/etc/opt/chrome", "/opt/google", "/var/cache/fontconfig")
_SYSTEM: Final = ("/usr/", "/opt/google/")
_PROFILE: Final = "profile"
"""Below where it works, which is private and gone with it."""
_COMMANDS, _ANSWERS = 3, 4
"""The descriptors of --remote-debugging-pipe."""
_SILENT: Final = (asyncio.subprocess.DEVNULL, asyncio.subprocess.DEVNULL, asyncio.subprocess.DEVNULL)

FLAGS: Final = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-default-apps", "--disable-domain-reliability", "--disable-breakpad", "--disable-crash-reporter",
    "--disable-dev-shm-usage", "--disable-client-side-phishing-detection", "--disable-notifications",
    "--disable-remote-fonts", "--deny-permission-prompts", "--metrics-recording-only", "--no-pings", "--mute-audio",
    "--password-store=basic", "--use-mock-keychain", "--blink-settings=imagesEnabled=false", "--window-size=1280,1600",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp", "--dns-prefetch-disable",
    "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider,AutofillServerCommunication,"
    "InterestFeedContentSuggestions,CertificateTransparencyComponentUpdater,NetworkPrediction,PreconnectToSearch,"
    "AsyncDns,DnsOverHttps,WebTransport,Prerender2",
    "--no-sandbox",  # its own: ours refuses the new namespaces that it is made of
)  # fmt: skip


def chromium() -> str:
    """The browser of this machine, "" when there is none."""
    return next((place for place in PLACES if os.access(place, os.X_OK)), "")


class Browser(msgspec.Struct, frozen=True):
    """A browser that runs: `tools` to steer it, and the `level` of the sandbox it is in."""

    tools: DevTools
    level: str


@asynccontextmanager
async def browser(
    program: str,
    proxy: GuardedProxy,
    sandbox: Sandbox,
    *,
    needed: str = LEAST,
    door: int = DOOR,
    limits: Limits = LIMITS,
    largest: int = 16 * 1024 * 1024,
) -> AsyncGenerator[Browser]:
    """A browser in the sandbox, ended with everything of it on the way out, or at one of its `limits`.

    It reads the system and its own program, writes a place in memory that is gone with it, and reaches `proxy`, which
    is served here, and nothing else. Raises Unavailable where the sandbox is not at the level `needed`, OSError when
    the browser does not start, and Gone when it ended.
    """
    read_theirs, write_ours = os.pipe()
    read_ours, write_theirs = os.pipe()
    started: Started | None = None
    tools: DevTools | None = None
    try:
        try:
            started = await start(
                command(program, door), sandbox=sandbox, readable=_readable(program), limits=limits, door=door,
                needed=needed, descriptors={_COMMANDS: read_theirs, _ANSWERS: write_theirs}, streams=_SILENT,
            )  # fmt: skip
        finally:
            os.close(read_theirs)
            os.close(write_theirs)
        assert started.door is not None
        async with proxy.on(started.door):
            tools = await DevTools.over(read_ours, write_ours, largest=largest)
            read_ours = write_ours = -1
            yield Browser(tools, started.level)
    except Gone as error:
        ended = await started.end() if started is not None else None
        if ended is not None and ended.stopped not in ("", "cancelled"):
            raise Gone(f"the page was stopped at the limit of {ended.stopped}") from error
        raise
    finally:
        if tools is not None:
            await tools.close()
        for end in (write_ours, read_ours):
            if end >= 0:
                os.close(end)
        if started is not None:
            await started.end()


def command(program: str, door: int) -> list[str]:
    """What is started: everything goes through the proxy, loopback too, and no name is looked up but by it."""
    return [
        program, *FLAGS, f"--proxy-server=http://127.0.0.1:{door}", "--proxy-bypass-list=<-loopback>",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", f"--user-data-dir={_PROFILE}",
        f"--crash-dumps-dir={_PROFILE}", "--remote-debugging-pipe", "about:blank",
    ]  # fmt: skip


def _readable(program: str) -> list[str]:
    """Its settings, and where it is if that is not among the system's programs."""
    real = os.path.realpath(program)
    own = [] if real.startswith(_SYSTEM) else [os.path.dirname(real)]
    return [*filter(os.path.exists, _READS), *own]
