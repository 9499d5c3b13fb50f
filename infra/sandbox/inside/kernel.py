"""The calls of Linux that Python has no names for."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from typing import Final

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_SLAVE = 2, 4, 8, 4096, 16384, 1 << 19
MNT_DETACH = 2
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS = 1, 4, 24, 28
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 36, 38, 47, 4
_SECURE_NOROOT_LOCKED = 0b11
_CAPABILITY_VERSION_3 = 0x20080522
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_CAPABILITIES = 64
_SYS_MOUNT_SETATTR = 442
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

MACHINE: Final = os.uname().machine
SYS_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}.get(MACHINE, -1)
SUPPORTED: Final = SYS_PIVOT_ROOT > 0
"""The machines whose numbers of system calls are known here."""

_libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    """The result of a call, or the OSError it stands for."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, *arguments: object, what: str) -> int:
    """A system call by its number. Raises OSError. Integers travel as longs, anything else as ctypes passes it."""
    passed = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return check(_libc.syscall(ctypes.c_long(number), *passed), what)


def prctl(option: int, *arguments: int, what: str) -> int:
    """prctl(2). Raises OSError."""
    passed = [ctypes.c_ulong(each) for each in (*arguments, 0, 0, 0, 0)[:4]]
    return check(_libc.prctl(option, *passed), what)


def unshare(flags: int) -> None:
    """unshare(2). Raises OSError."""
    check(_libc.unshare(flags), "new namespaces")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2). Raises OSError."""
    words = [each.encode() or None for each in (source, target, kind)]
    check(_libc.mount(*words, ctypes.c_ulong(flags), data.encode() or None), f"mount {target}")


def unmount(target: str) -> None:
    """Take away what is mounted there, as soon as nobody uses it."""
    check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2). Raises OSError."""
    syscall(SYS_PIVOT_ROOT, ctypes.c_char_p(new.encode()), ctypes.c_char_p(old.encode()), what="pivot_root")


def set_mount(target: str, attributes: int, *, recursive: bool = True) -> None:
    """mount_setattr(2): add attributes to a mount and, unless told otherwise, all below it. Raises OSError."""
    data = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    path = ctypes.c_char_p(target.encode())
    syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, path, flags, data, ctypes.sizeof(data), what=f"attributes of {target}")


def loopback_up() -> None:
    """Switch on the loopback of a network of one's own. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        name, flags = struct.unpack("16sh", fcntl.ioctl(asked, _SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))[:18])
        fcntl.ioctl(asked, _SIOCSIFFLAGS, struct.pack("16sh22x", name, flags | _IFF_UP))


def die_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when the thread that started it ends."""
    prctl(_PR_SET_PDEATHSIG, number, what="PR_SET_PDEATHSIG")


def adopt_orphans() -> None:
    """Be the parent of whatever descendant loses its own."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1, what="PR_SET_CHILD_SUBREAPER")


def hide_memory() -> None:
    """Let no process of the same user read or trace this one."""
    prctl(_PR_SET_DUMPABLE, 0, what="PR_SET_DUMPABLE")


def no_new_privileges() -> None:
    """From here on no exec gives more rights."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1, what="PR_SET_NO_NEW_PRIVS")


def drop_capabilities() -> None:
    """Give up every capability for good; root is then an account like others. Raises OSError."""
    if int(_status("CapPrm"), 16):
        prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, what="ambient capabilities")
        for capability in range(_CAPABILITIES):
            if _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0):
                break  # beyond the last there is
        prctl(_PR_SET_SECUREBITS, _SECURE_NOROOT_LOCKED, what="securebits")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def _status(field: str) -> str:
    try:
        with open("/proc/self/status") as file:
            return next((line.split()[1] for line in file if line.startswith(field + ":")), "1")
    except OSError:  # no /proc: assume there are some
        return "1"
