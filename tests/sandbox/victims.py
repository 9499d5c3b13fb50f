"""What foreign programs go for: a secret, servers of this machine, and who is alive."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec
import psutil
import pytest

TRYING = Path(__file__).with_name("trying.py")
PYTHON = "/usr/bin/python3"
with_python = pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason=f"no {PYTHON}, which is inside every sandbox")


class Victims(msgspec.Struct):
    """`word` is in the file `secret`, and is what the servers say: on `tcp`, `udp` and behind the path `unix`."""

    folder: Path
    word: str
    tcp: int = 0
    udp: int = 0

    @property
    def secret(self) -> Path:
        return self.folder / "secret"

    @property
    def unix(self) -> Path:
        return self.folder / "socket"


class _Echo(asyncio.DatagramProtocol):
    def __init__(self, word: str) -> None:
        self.word = word

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.transport.sendto(self.word.encode(), addr)


@asynccontextmanager
async def victims(folder: Path) -> AsyncGenerator[Victims]:
    made = Victims(folder / "victims", token_hex(8))
    made.folder.mkdir()
    made.secret.write_text(made.word)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(made.word.encode())
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Echo(made.word), local_addr=("127.0.0.1", 0)
    )
    try:
        made.udp = transport.get_extra_info("sockname")[1]
        async with (
            await asyncio.start_server(answer, "127.0.0.1", 0) as server,
            await asyncio.start_unix_server(answer, str(made.unix)),
        ):
            made.tcp = server.sockets[0].getsockname()[1]
            yield made
    finally:
        transport.close()


def program(folder: Path) -> Path:
    """A copy of the program that tries, in a folder of its own."""
    place = folder / "program"
    place.mkdir()
    copied = place / "trying"
    shutil.copyfile(TRYING, copied)
    copied.chmod(0o755)
    return copied


async def until(condition: Callable[[], bool], what: str = "it never came about") -> None:
    try:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(what) from None


def family(pid: int) -> list[psutil.Process]:
    """Everybody below a process."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def gone(processes: list[psutil.Process]) -> bool:
    return not any(_alive(each) for each in processes)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
