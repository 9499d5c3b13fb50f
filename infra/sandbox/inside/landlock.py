"""Landlock: from here on this process and its children reach the named paths alone.

Numbers and rights as in Linux's `include/uapi/linux/landlock.h`; an older kernel is asked for what it knows.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from infra.sandbox.inside import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_ALL_OF_ABI_1 = (1 << 13) - 1
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2

READ = _READ_FILE | _READ_DIR | _EXECUTE
DEVICE = _READ_FILE | _WRITE_FILE
SCOPES_FROM = 6
"""The version that keeps signals and abstract sockets within."""


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _Port(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


def version() -> int:
    """The version of Landlock that the kernel has, 0 for none."""
    try:
        return kernel.syscall(_CREATE_RULESET, None, 0, _VERSION, what="landlock")
    except OSError:
        return 0


def _handled(abi: int) -> int:
    rights = _ALL_OF_ABI_1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEVICE)):
        if abi >= since:
            rights |= right
    return rights


def write_rights(abi: int) -> int:
    """Everything but the making of device nodes."""
    return _handled(abi) & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEVICE)


def restrict(
    readable: Iterable[str], writable: Iterable[str], devices: Iterable[str], *, network: bool, port: int = 0
) -> None:
    """Confine this process. Without `network` it connects by TCP to `port` alone, or nowhere. Paths that are not there
    are left out. no_new_privileges must be set. Raises OSError."""
    abi = version()
    handled = _handled(abi)
    rules = (ctypes.c_uint64 * 3)(handled, 0, 0)
    size = 8
    if abi >= 4:
        rules[1], size = (0 if network else _BIND_TCP | _CONNECT_TCP), 16
    if abi >= SCOPES_FROM:
        rules[2], size = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS, 24
    ruleset = kernel.syscall(_CREATE_RULESET, rules, size, 0, what="landlock ruleset")
    try:
        granted = [(readable, READ), (writable, write_rights(abi)), (devices, DEVICE)]
        for paths, rights in granted:
            for path in paths:
                _allow(ruleset, path, rights & handled)
        if port and rules[1]:
            rule = ctypes.pointer(_Port(_CONNECT_TCP, port))
            kernel.syscall(_ADD_RULE, ruleset, _NET_PORT, rule, 0, what=f"landlock rule of port {port}")
        kernel.syscall(_RESTRICT_SELF, ruleset, 0, what="landlock")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        rule = ctypes.pointer(_Beneath(rights, place))
        kernel.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0, what=f"landlock rule of {path}")
    finally:
        os.close(place)
