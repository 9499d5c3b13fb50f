"""How a server's process is started: in the sandbox, with what its configuration names, or as it is if that says so."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from events.errors import Unavailable
from infra.mcp.config import MACHINE, PUBLIC, UNCONFINED, McpServer
from infra.sandbox.levels import satisfies
from infra.sandbox.sandbox import Sandbox
from infra.sandbox.sandbox import start as start_inside
from infra.sandbox.starting import Limits, Started
from infra.tools.browser.proxy import GuardedProxy
from infra.tools.web.guard import PORTS, Guard

INHERITED: Final = ("HOME", "PATH", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER")
_HARMLESS: Final = ("PATH", "LANG", "LC_ALL", "TZ")
"""Of those, what it has in the sandbox too: HOME and TMPDIR are private there."""
DOOR: Final = 3128
"""The port of the proxy, on the loopback of the sandbox."""
_GRACE: Final = 2.0
_PIECE: Final = 64 * 1024
_SYSTEM: Final = ("/usr/", "/bin/", "/sbin/", "/lib")


class Child(Protocol):
    """A server that runs. `level` is that of the sandbox; `+machine-network` behind it says that nothing but that is
    kept from it, and "" that nothing is."""

    process: asyncio.subprocess.Process
    level: str

    async def end(self) -> None:
        """End it and whatever it started."""
        ...


Start = Callable[[McpServer, Mapping[str, str]], Awaitable[Child]]
"""Starts a server with what `env` of it stands for."""


def starting(sandbox: Sandbox) -> Start:
    """Starts servers in this sandbox, but for those that say `sandbox: unconfined`."""

    async def start(server: McpServer, environment: Mapping[str, str]) -> Child:
        if server.sandbox == UNCONFINED:
            return await unconfined(server, environment)
        return await confined(server, environment, sandbox)

    return start


class _Group:
    """A process that leads a group of its own."""

    level = ""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE):
                    while self.process.returncode is None:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
        transport = getattr(self.process, "_transport", None)
        if transport is not None:
            transport.close()


async def unconfined(server: McpServer, environment: Mapping[str, str]) -> Child:
    """Start it as it is: it may do what this process may. Raises OSError."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    pipe, folder = asyncio.subprocess.PIPE, _path(server.cwd, "") if server.cwd else None
    return _Group(
        await asyncio.create_subprocess_exec(
            server.command, *server.args, env={**inherited, **environment}, cwd=folder,
            start_new_session=True, stdin=pipe, stdout=pipe, stderr=pipe, limit=_PIECE,
        )
    )  # fmt: skip


class _Inside:
    """A process in the sandbox, with its way out if it has one."""

    def __init__(self, started: Started, proxy: GuardedProxy | None, level: str) -> None:
        self.process = started.process
        self.level = level
        self._started = started
        self._proxy = proxy

    async def end(self) -> None:
        try:
            await self._started.end()
        finally:
            if self._proxy is not None:
                await self._proxy.__aexit__()


async def confined(server: McpServer, environment: Mapping[str, str], sandbox: Sandbox) -> Child:
    """Start it in the sandbox. Raises FileNotFoundError, Invalid (a path that is not there), Unavailable (no such
    level, and what to do about it)."""
    await sandbox.ready()
    if not satisfies(sandbox.level, server.sandbox):
        raise Unavailable(
            f"it needs the sandbox level {server.sandbox}, and this machine reaches {sandbox.level or 'none'};"
            f" who trusts it with this machine says `sandbox: {UNCONFINED}`"
        )
    program, own = found(server.command)
    guard = _guard(server)
    machine = MACHINE in server.network
    inherited = {name: os.environ[name] for name in _HARMLESS if name in os.environ}
    limits = Limits(
        cpu=math.inf, wall=math.inf, memory=server.memory, each=4 * server.memory, processes=server.processes,
        files=4096, file_size=1 << 30, scratch=256 << 20, interval=0.25,
    )  # fmt: skip
    started = await start_inside(
        [program, *server.args], sandbox=sandbox, folder=_path(server.cwd, "") if server.cwd else None,
        readable=[*own, *(_path(each, server.cwd) for each in server.reads)],
        writable=[_path(each, server.cwd) for each in server.writes], limits=limits, network=machine,
        door=DOOR if guard is not None else 0, needed=server.sandbox,
        environment={**inherited, **(_proxied() if guard is not None else {}), **environment},
    )  # fmt: skip
    if guard is None:
        return _Inside(started, None, started.level + ("+machine-network" if machine else ""))
    assert started.door is not None
    proxy = GuardedProxy(guard, most=0, idle=600.0, errands=()).on(started.door)
    try:
        await proxy.__aenter__()
    except BaseException:
        started.door.close()
        await started.end()
        raise
    return _Inside(started, proxy, started.level)


def _guard(server: McpServer) -> Guard | None:
    """What lets it out; None when nothing does."""
    places = [each for each in server.network if each not in (PUBLIC, MACHINE)]
    if not places and PUBLIC not in server.network:
        return None
    return Guard(places, ports=PORTS if PUBLIC in server.network else ())


def _proxied() -> dict[str, str]:
    """How programs are told of a proxy."""
    url = f"http://127.0.0.1:{DOOR}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    return {name: url for each in names for name in (each, each.lower())} | {"NODE_USE_ENV_PROXY": "1"}


def _path(given: str, folder: str) -> str:
    return os.path.abspath(os.path.join(os.path.expanduser(folder), os.path.expanduser(given)))


def found(command: str) -> tuple[str, list[str]]:
    """The program of a command, and what of this machine it needs besides the system: its file, and the installation
    of Python (virtual ones with what they are based on) or Node that it is in. Raises FileNotFoundError."""
    which = shutil.which(os.path.expanduser(command))
    if which is None:
        raise FileNotFoundError(f"there is no program {command}")
    program = os.path.abspath(which)
    real = os.path.realpath(program)
    own = [*_installation(program), *_installation(real)]
    if program.startswith(_SYSTEM) and real.startswith(_SYSTEM):
        return program, own
    if not any(Path(program).is_relative_to(place) for place in own):
        program = real  # of a link into what is there, or of a file by itself
    return program, [*own, program]


def _installation(program: str) -> list[str]:
    root = Path(program).parent.parent
    try:
        said = re.search(r"^home\s*=\s*(.+?)\s*$", (root / "pyvenv.cfg").read_text(), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return _prefix(root)
    return [str(root), *(_prefix(Path(os.path.realpath(said[1])).parent) if said else [])]


def _prefix(root: Path) -> list[str]:
    """A folder that holds an installation and nothing of anybody's."""
    shared = (Path("/"), Path("/usr"), Path("/usr/local"), Path.home(), Path.home() / ".local")
    kinds = ("lib/python3*", "lib/node_modules")
    return [str(root)] if root not in shared and any(any(root.glob(kind)) for kind in kinds) else []
