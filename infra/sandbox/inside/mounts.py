"""A file system with nothing in it but what was named, and the identity to make it with."""

from __future__ import annotations

import contextlib
import os

from infra.sandbox.inside import kernel
from infra.sandbox.inside.kernel import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_REC, MS_SLAVE
from infra.sandbox.inside.spec import Spec

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_BASES = ("/tmp", "/mnt", "/var")
_SAFE = MS_NOSUID | MS_NODEV
_LOCKED_IN = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV
_ONLY_READ = _LOCKED_IN | kernel.MOUNT_ATTR_RDONLY
_SOMEBODY = 1000
_RESERVED_PIDS = 300
_PID_MAX_SINCE = (6, 14)
"""Older kernels have one pid_max for the whole machine, which is not ours to change."""


def identity() -> tuple[int, int]:
    """Who the command is in its own namespace: never root, so that no exec brings back capabilities."""
    return os.geteuid() or _SOMEBODY, os.getegid() or _SOMEBODY


def enter_user_namespace(flags: int) -> None:
    """New namespaces, in which this process has every capability, and none outside. Raises OSError."""
    outer, inner = (os.geteuid(), os.getegid()), identity()
    kernel.unshare(kernel.CLONE_NEWUSER | flags)
    lines = (("setgroups", "deny"), ("uid_map", f"{inner[0]} {outer[0]} 1"), ("gid_map", f"{inner[1]} {outer[1]} 1"))
    for file, line in lines:
        with open(f"/proc/self/{file}", "w") as out:
            out.write(line)


def build(spec: Spec) -> None:
    """Leave the old file system for good. Raises OSError."""
    base = next(each for each in _BASES if os.path.isdir(each))
    kernel.mount("", "/", flags=MS_SLAVE | MS_REC)
    kernel.mount("tmpfs", base, "tmpfs", _SAFE, "mode=755")
    os.chdir(base)
    os.mkdir("old")
    os.mkdir("new")
    kernel.mount("new", "new", flags=MS_BIND | MS_REC)
    kernel.pivot_root(".", "old")
    os.chdir("/")
    _fill(spec)
    os.chdir("/new")
    kernel.pivot_root(".", ".")
    kernel.unmount(".")
    os.chdir("/")
    kernel.set_mount("/", _ONLY_READ, recursive=False)


def _fill(spec: Spec) -> None:
    size = f"size={int(spec.limits['scratch'])}"
    for place in ("tmp", "dev", "proc"):
        os.mkdir(f"/new/{place}")
    kernel.mount("tmpfs", "/new/tmp", "tmpfs", _SAFE, f"mode=1777,{size}")
    kernel.mount("tmpfs", "/new/dev", "tmpfs", _SAFE | MS_NOEXEC, "mode=755,size=1m")
    os.mkdir("/new/dev/shm")
    kernel.mount("tmpfs", "/new/dev/shm", "tmpfs", _SAFE, f"mode=1777,{size}")
    for device in DEVICES:
        _touch(f"/new{device}")
        kernel.mount(f"/old{device}", f"/new{device}", flags=MS_BIND)
    for name, target in _LINKS.items():
        os.symlink(target, f"/new/dev/{name}")
    kernel.set_mount("/new/dev", kernel.MOUNT_ATTR_RDONLY, recursive=False)
    _proc(spec)
    paths = dict.fromkeys(spec.readable, _ONLY_READ) | dict.fromkeys(spec.writable, _LOCKED_IN)
    for path in sorted(paths):
        _bind(path, paths[path])


def _proc(spec: Spec) -> None:
    """Of its own processes, for reading: to this uid, outside, the settings of the kernel might be writable."""
    if not spec.has("pids"):
        kernel.mount("/old/proc", "/new/proc", flags=MS_BIND | MS_REC)
        kernel.set_mount("/new/proc", kernel.MOUNT_ATTR_RDONLY)
        return
    try:
        kernel.mount("proc", "/new/proc", "proc", _SAFE | MS_NOEXEC)
    except PermissionError:  # parts of /proc are masked here, as in containers: then there is none
        return
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    if release >= _PID_MAX_SINCE and spec.has("limits"):
        with contextlib.suppress(OSError), open("/new/proc/sys/kernel/pid_max", "w") as out:
            out.write(str(_RESERVED_PIDS + int(spec.limits["processes"]) + 2))
    kernel.set_mount("/new/proc", kernel.MOUNT_ATTR_RDONLY)


def _bind(path: str, attributes: int) -> None:
    """Show a path as it is outside: a link as a link, a file as a file. One that is not there is left out."""
    source, target = f"/old{path}", f"/new{path}"
    if os.path.islink(source):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            os.symlink(os.readlink(source), target)
        return
    if not os.path.lexists(source):
        return
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        _touch(target)
    kernel.mount(source, target, flags=MS_BIND | MS_REC)
    kernel.set_mount(target, attributes)


def _touch(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
