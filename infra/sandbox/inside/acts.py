"""Tries what a confined command must not be able to do: `python -I -S acts.py TARGETS`, which is JSON.

Everything it goes for was put there for it: files, sockets, a process. One line of JSON is written for each act, at
once: {"act": …, "done": true or false, "why": …}. The last acts may get the whole thing killed.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Final

Targets = dict[str, Any]
_libc = ctypes.CDLL(None, use_errno=True)
_NUMBERS: Final[dict[str, tuple[int, int, int, int, int]]] = {
    "x86_64": (425, 250, 321, 323, 298),
    "aarch64": (425, 219, 280, 282, 241),
}
_CLONE_NEWUSER, _CLONE_NEWNS = 0x10000000, 0x00020000
_PTRACE_ATTACH, _PTRACE_DETACH = 16, 17
_USER_MODE_ONLY = 1
_STRANGER = 12345


def _must(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _call(which: int, *arguments: object) -> int:
    number = _NUMBERS[os.uname().machine][which]
    passed = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return _must(_libc.syscall(ctypes.c_long(number), *passed))


def write_outside(to: Targets) -> None:
    """A file where nothing may be written."""
    with open(to["outside"] + "/written", "w") as out:
        out.write("here")


def read_secret(to: Targets) -> None:
    """A file that was not named."""
    with open(to["outside"] + "/secret") as file:
        assert file.read() == to["word"]


def write_setting(to: Targets) -> None:
    """A setting of the kernel, which to root's number may be open whatever the namespace. Only opened."""
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))


def connect_loopback(to: Targets) -> None:
    """A server of this machine."""
    socket.create_connection(("127.0.0.1", to["port"]), 5).close()


def connect_outside(to: Targets) -> None:
    """An address elsewhere (RFC 5737: nobody's). A route is enough, nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))


def connect_socket_file(to: Targets) -> None:
    """A server behind a path, as that of containers is."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(to["outside"] + "/socket")


def connect_abstract(to: Targets) -> None:
    """A server behind a name that is no path."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + to["abstract"])


def raw_socket(to: Targets) -> None:
    """Packets of one's own making."""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def read_process(to: Targets) -> None:
    """The environment of another process."""
    with open(f"/proc/{to['victim']}/environ", "rb") as file:
        assert to["word"].encode() in file.read()


def trace_process(to: Targets) -> None:
    """Take over another process."""
    _libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    _libc.ptrace.restype = ctypes.c_long
    _must(_libc.ptrace(_PTRACE_ATTACH, to["victim"], None, None))
    os.waitpid(to["victim"], 0)
    _libc.ptrace(_PTRACE_DETACH, to["victim"], None, None)


def kill_process(to: Targets) -> None:
    """End another process."""
    os.kill(to["victim"], signal.SIGTERM)


def read_segment(to: Targets) -> None:
    """Shared memory of others, by its number."""
    _libc.shmat.restype = ctypes.c_void_p
    address = _libc.shmat(to["segment"], None, 0o10000)
    _must(-1 if address == ctypes.c_void_p(-1).value else 0)
    assert ctypes.string_at(address, len(to["word"])) == to["word"].encode()


def mount(to: Targets) -> None:
    """A file system, in new namespaces."""
    _must(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
    _must(_libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None))


def new_namespace(to: Targets) -> None:
    """Capabilities in a namespace of one's own, and with them more of the kernel to attack."""
    _must(_libc.unshare(_CLONE_NEWUSER))


def become_another(to: Targets) -> None:
    """Another user."""
    os.setresuid(_STRANGER, _STRANGER, _STRANGER)


def io_uring(to: Targets) -> None:
    """System calls past the filter."""
    os.close(_call(0, 1, ctypes.create_string_buffer(256)))


def keys(to: Targets) -> None:
    """The keyring of the session."""
    _call(1, 0, -3, 1)


def bpf(to: Targets) -> None:
    """Code in the kernel."""
    attributes = ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1), 128)
    os.close(_call(2, 0, attributes, 128))


def userfault(to: Targets) -> None:
    """Holding up the kernel at a page fault."""
    os.close(_call(3, _USER_MODE_ONLY))


def counters(to: Targets) -> None:
    """Performance counters, of this process."""
    attributes = ctypes.create_string_buffer(struct.pack("IIQ", 1, 128, 1), 128)
    attributes[40] = b"\x60"  # not the kernel, not the hypervisor
    os.close(_call(4, attributes, 0, -1, -1, 0))


def many_files(to: Targets) -> None:
    """More open files than allowed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for _ in range(to["files"]):
        os.dup(2)


def large_file(to: Targets) -> None:
    """A larger file than allowed."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    path = f"{os.environ['TMPDIR']}/large-{os.getpid()}"
    try:
        with open(path, "wb") as out:
            out.truncate(to["file_size"] + 1)
    finally:
        if os.path.exists(path):
            os.unlink(path)


def much_memory(to: Targets) -> None:
    """More memory than allowed."""
    with mmap.mmap(-1, to["memory"] * 2, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
        for place in range(0, len(block), 4096):
            block[place] = 1


def shared_memory(to: Targets) -> None:
    """The same, shared: which limits of one process do not count."""
    with mmap.mmap(-1, to["memory"] * 3) as block:
        for place in range(0, len(block), 4096):
            block[place] = 1
        _linger()


def fork_bomb(to: Targets) -> None:
    """More processes than allowed, which all wait."""
    reading, writing = os.pipe()
    made = list[int]()
    try:
        for _ in range(to["processes"] + 8):
            made.append(pid := os.fork())
            if not pid:
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
        _linger()
    finally:
        os.close(writing)
        for pid in made:
            os.waitpid(pid, 0)


def _linger() -> None:
    """Long enough for whoever watches to look."""
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        time.sleep(0.01)


ACTS: Final[dict[str, Callable[[Targets], None]]] = {
    act.__name__: act for act in (
        write_outside, read_secret, write_setting, connect_loopback, connect_outside, connect_socket_file,
        connect_abstract, raw_socket, read_process, trace_process, read_segment, mount, new_namespace, become_another,
        io_uring, keys, bpf, userfault, counters, many_files, large_file, much_memory, kill_process, fork_bomb,
        shared_memory,
    )
}  # fmt: skip


def attempt(act: str, targets: Targets) -> None:
    """In a process of its own, because some acts change who one is."""
    why, code = "", 0
    try:
        ACTS[act](targets)
    except OSError as error:
        why, code = errno.errorcode.get(error.errno or 0, str(error)), 1
    except (AssertionError, MemoryError) as error:
        why, code = type(error).__name__, 1
    os.write(1, json.dumps({"act": act, "done": not code, "why": why}).encode() + b"\n")


def main(targets: Targets) -> None:
    """Try them one by one."""
    for act in targets["acts"]:
        child = os.fork()
        if not child:
            attempt(act, targets)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
