"""What the self-test goes for: canaries, made for it and taken away after it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from infra.sandbox import system

_IPC_PRIVATE, _IPC_CREAT, _IPC_RMID = 0, 0o1000, 0
_WAITS: Final = "import sys; print(flush=True); sys.stdin.read()"

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def canaries() -> Generator[dict[str, Any]]:
    """A directory with a secret and a server behind a path; servers behind a port and a name; a process whose
    environment is a secret; a segment of shared memory. `inside` is a folder of the test's own."""
    word = token_hex(12)
    place = Path(tempfile.mkdtemp(prefix="canary-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, place, True)
        outside, inside = place / "outside", place / "inside"
        for folder in (outside, inside):
            folder.mkdir()
        (outside / "secret").write_text(word)
        port = _serve(stack, socket.AF_INET, ("127.0.0.1", 0)).getsockname()[1]
        _serve(stack, socket.AF_UNIX, str(outside / "socket"))
        _serve(stack, socket.AF_UNIX, "\0" + word)
        yield {
            "outside": str(outside), "inside": str(inside), "word": word, "port": port, "abstract": word,
            "victim": _victim(stack, word), "segment": _segment(stack, word),
        }  # fmt: skip


def _serve(stack: contextlib.ExitStack, family: int, address: Any) -> socket.socket:
    server = stack.enter_context(socket.socket(family))
    server.bind(address)
    server.listen(16)
    return server


def _victim(stack: contextlib.ExitStack, word: str) -> int:
    process = subprocess.Popen(
        [system.python(), "-I", "-S", "-c", _WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={"WORD": word},
    )  # fmt: skip
    stack.enter_context(process)
    stack.callback(_end, process)
    assert process.stdout is not None
    process.stdout.readline()  # it has become what it is, so that its environment is the one given
    return process.pid


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGKILL, signal.SIGCONT):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)


def _segment(stack: contextlib.ExitStack, word: str) -> int:
    segment: int = _libc.shmget(_IPC_PRIVATE, ctypes.c_size_t(4096), _IPC_CREAT | 0o600)
    if segment < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    stack.callback(_libc.shmctl, segment, _IPC_RMID, None)
    _libc.shmat.restype = ctypes.c_void_p
    address = ctypes.c_void_p(_libc.shmat(segment, None, 0))
    ctypes.memmove(address, word.encode(), len(word))
    _libc.shmdt(address)
    return segment
