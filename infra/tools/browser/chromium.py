"""A Chromium of its own for one page: an empty profile, a pipe to steer it by, and an end to it whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import psutil

from infra.tools.browser.devtools import DevTools

PLACES: Final = (
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/usr/bin/google-chrome-stable",
)

Launch = Callable[[Sequence[str], Mapping[str, str], Sequence[int], Path], Awaitable[asyncio.subprocess.Process]]
"""Starts a command with an environment, inheriting file descriptors, able to write to one directory: the place for a
sandbox. The process must lead a session of its own."""

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
)  # fmt: skip


def chromium() -> str:
    """The browser of this machine, "" when there is none."""
    return next((place for place in PLACES if os.access(place, os.X_OK)), "")


async def launch(
    command: Sequence[str], environment: Mapping[str, str], pass_fds: Sequence[int], directory: Path
) -> asyncio.subprocess.Process:
    """Start it as it is."""
    return await asyncio.create_subprocess_exec(
        *command, env=dict(environment), pass_fds=tuple(pass_fds), cwd=directory, start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


def command(program: str, proxy: str, profile: Path, ends: tuple[int, int]) -> list[str]:
    """What is started: everything goes through the proxy, loopback too, and no name is looked up but by it."""
    flags = [
        *FLAGS, f"--proxy-server={proxy}", "--proxy-bypass-list=<-loopback>",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        f"--user-data-dir={profile}", f"--crash-dumps-dir={profile}", "--remote-debugging-pipe",
    ]  # fmt: skip
    if os.geteuid() == 0:
        flags.append("--no-sandbox")
    # The browser reads from descriptor 3 and writes to 4.
    return ["/bin/sh", "-c", f'exec "$@" 3</dev/fd/{ends[0]} 4>/dev/fd/{ends[1]}', "sh", program, *flags, "about:blank"]


@asynccontextmanager
async def browser(
    program: str,
    proxy: str,
    *,
    start: Launch = launch,
    memory: int = 1536 * 1024 * 1024,
    largest: int = 16 * 1024 * 1024,
) -> AsyncGenerator[DevTools]:
    """A browser with an empty profile, ended with all its processes on the way out, or as soon as these together hold
    more than `memory` bytes. Raises OSError when it does not start."""
    directory = Path(tempfile.mkdtemp(prefix="thespis-browser-"))
    read_theirs, write_ours = os.pipe()
    read_ours, write_theirs = os.pipe()
    process: asyncio.subprocess.Process | None = None
    watch: asyncio.Task[None] | None = None
    tools: DevTools | None = None
    try:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "TMPDIR": str(directory), "LANG": "C.UTF-8"}
        ends = (read_theirs, write_theirs)
        started = command(program, proxy, directory / "profile", ends)
        process = await start(started, environment, ends, directory)
        os.close(read_theirs)
        os.close(write_theirs)
        read_theirs = write_theirs = -1
        tools = await DevTools.over(read_ours, write_ours, largest=largest)
        read_ours = write_ours = -1
        watch = asyncio.create_task(_watch(process, memory, tools))
        yield tools
    finally:
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        if tools is not None:
            await tools.close()
        for end in (read_theirs, write_ours, read_ours, write_theirs):
            if end >= 0:
                os.close(end)
        if process is not None:
            await _end(process)
        await asyncio.to_thread(_remove, directory)


async def _watch(process: asyncio.subprocess.Process, memory: int, tools: DevTools) -> None:
    while process.returncode is None:
        used = await asyncio.to_thread(_used, process.pid)
        if used > memory:
            tools.give_up(f"the page needs more than {memory} bytes of memory")
            _kill(process.pid)
            return
        await asyncio.sleep(0.25)


def _family(pid: int) -> list[psutil.Process]:
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.Error:
        return []


def _used(pid: int) -> int:
    used = 0
    for each in _family(pid):
        with contextlib.suppress(psutil.Error):
            found = each.memory_info()
            used += found.rss - getattr(found, "shared", 0)
    return used


def _kill(pid: int) -> list[psutil.Process]:
    """End the whole family: a process that left the group is found by its parent."""
    family = _family(pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for each in family:
        with contextlib.suppress(psutil.Error):
            each.kill()
    return family


async def _end(process: asyncio.subprocess.Process) -> None:
    family = _kill(process.pid) if process.returncode is None else []
    await process.wait()
    await asyncio.to_thread(psutil.wait_procs, family, 2.0)


def _remove(directory: Path) -> None:
    """What is killed may still write for a moment."""
    for _ in range(20):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.05)
