"""seccomp: the system calls that a command has no business with are refused, whatever else fails to hold.

A filter in classic BPF. Numbers of x86_64 and aarch64, which agree from 424 on. A call that came with a newer kernel
than this list is answered "not implemented", so that nothing is allowed for not being known.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Iterator
from typing import Final

from infra.sandbox.inside import kernel

_NEWEST = 466
"""The highest number that was looked at."""

_FROM_424: Final = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "process_madvise": 440,
    "mount_setattr": 442, "quotactl_fd": 443, "process_mrelease": 448, "statmount": 457, "listmount": 458,
}  # fmt: skip
_REFUSED: Final[dict[str, dict[str, int]]] = {
    "x86_64": {
        "ptrace": 101, "syslog": 103, "setuid": 105, "setgid": 106, "setreuid": 113, "setregid": 114, "setgroups": 116,
        "setresuid": 117, "setresgid": 119, "setfsuid": 122, "setfsgid": 123, "uselib": 134, "personality": 135,
        "ustat": 136, "vhangup": 153, "modify_ldt": 154, "pivot_root": 155, "_sysctl": 156, "adjtimex": 159,
        "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168,
        "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "create_module": 174,
        "init_module": 175, "delete_module": 176, "get_kernel_syms": 177, "query_module": 178, "quotactl": 179,
        "nfsservctl": 180, "lookup_dcookie": 212, "clock_settime": 227, "kexec_load": 246, "add_key": 248,
        "request_key": 249, "keyctl": 250, "migrate_pages": 256, "unshare": 272, "move_pages": 279,
        "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304,
        "clock_adjtime": 305, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
        "finit_module": 313, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, **_FROM_424,
    },
    "aarch64": {
        "lookup_dcookie": 18, "umount2": 39, "mount": 40, "pivot_root": 41, "nfsservctl": 42, "chroot": 51,
        "vhangup": 58, "quotactl": 60, "acct": 89, "personality": 92, "unshare": 97, "kexec_load": 104,
        "init_module": 105, "delete_module": 106, "clock_settime": 112, "syslog": 116, "ptrace": 117, "reboot": 142,
        "setregid": 143, "setgid": 144, "setreuid": 145, "setuid": 146, "setresuid": 147, "setresgid": 149,
        "setfsuid": 151, "setfsgid": 152, "setgroups": 159, "sethostname": 161, "setdomainname": 162,
        "settimeofday": 170, "adjtimex": 171, "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224,
        "swapoff": 225, "migrate_pages": 238, "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262,
        "name_to_handle_at": 264, "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268,
        "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "bpf": 280,
        "userfaultfd": 282, "kexec_file_load": 294, **_FROM_424,
    },
}  # fmt: skip
_SEGMENTS: Final = {
    "x86_64": (29, 30, 31, 64, 65, 66, 67, 68, 69, 70, 71, 220, *range(240, 246)),
    "aarch64": tuple(range(180, 198)),
}
"""Shared memory, semaphores and queues by number or name: refused where those of the whole machine are seen."""
_ARGUED: Final = {
    "x86_64": {"ioctl": 16, "socket": 41, "clone": 56, "clone3": 435},
    "aarch64": {"ioctl": 29, "socket": 198, "clone": 220, "clone3": 435},
}
"""Calls that depend on their arguments."""

_ARCHITECTURE: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NEW_NAMESPACES = 0x7E020080
"""Any CLONE_NEW… flag, that of a time namespace included."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_SOCK_TYPE, _SOCK_RAW, _SOCK_PACKET = 0xF, 3, 10

_LOAD, _AND, _RETURN, _EQUAL, _GREATER, _ANY_BIT = 0x20, 0x54, 0x06, 0x15, 0x25, 0x45
_NUMBER, _ARCH, _FIRST, _SECOND = 0, 4, 16, 24
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

Instruction = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def apply(*, unix: bool, network: bool, segments: bool) -> None:
    """Filter the calls of this process and its children. no_new_privileges must be set. Raises OSError."""
    code = b"".join(struct.pack("HBBI", *each) for each in instructions(unix=unix, network=network, segments=segments))
    program = _Program(len(code) // 8, code)
    kernel.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program), what="seccomp")


def instructions(*, unix: bool, network: bool, segments: bool, machine: str = kernel.MACHINE) -> list[Instruction]:
    """The filter. `unix`: sockets of the Unix domain may be made; `network`: those of the internet too, never
    raw; `segments`: memory and queues may be shared by name."""
    no = _refuse(errno.EPERM)
    argued = _ARGUED[machine]
    refused = [*_REFUSED[machine].values(), *(() if segments else _SEGMENTS[machine])]
    return [
        (_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, _ARCHITECTURE[machine]), (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER), (_GREATER, 0, 1, _NEWEST), _refuse(errno.ENOSYS),
        *(each for number in sorted(refused) for each in ((_EQUAL, 0, 1, number), no)),
        (_EQUAL, 0, 1, argued["clone3"]), _refuse(errno.ENOSYS),  # its flags are in memory, where no filter looks
        *_when(argued["clone"], [(_LOAD, 0, 0, _FIRST), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), no]),
        *_when(argued["ioctl"], [(_LOAD, 0, 0, _SECOND), (_EQUAL, 1, 0, _TIOCSTI), (_EQUAL, 0, 1, _TIOCLINUX), no]),
        *_when(argued["socket"], list(_socket(unix=unix, network=network))),
        (_RETURN, 0, 0, _ALLOW),
    ]  # fmt: skip


def _refuse(number: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | number)


def _when(number: int, body: list[Instruction]) -> list[Instruction]:
    """If this is the call: the body, and then allow."""
    return [(_EQUAL, 0, len(body) + 1, number), *body, (_RETURN, 0, 0, _ALLOW)]


def _socket(*, unix: bool, network: bool) -> Iterator[Instruction]:
    yield _LOAD, 0, 0, _FIRST
    if unix:
        yield _EQUAL, 0, 1, socket.AF_UNIX
        yield _RETURN, 0, 0, _ALLOW
    if network:
        yield _EQUAL, 0, 1, socket.AF_NETLINK  # the C library asks it for addresses
        yield _RETURN, 0, 0, _ALLOW
        yield _EQUAL, 2, 0, socket.AF_INET
        yield _EQUAL, 1, 0, socket.AF_INET6
        yield _refuse(errno.EAFNOSUPPORT)
        yield _LOAD, 0, 0, _SECOND
        yield _AND, 0, 0, _SOCK_TYPE
        yield _EQUAL, 1, 0, _SOCK_RAW
        yield _EQUAL, 0, 1, _SOCK_PACKET
        yield _refuse(errno.EPERM)
    else:
        yield _refuse(errno.EACCES)
