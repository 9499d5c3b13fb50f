"""The outermost process: starts the rest, looks after limits of them all together, and sees that none is left."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from infra.sandbox.inside.command import report
from infra.sandbox.inside.spec import Spec

_TICKS = os.sysconf("SC_CLK_TCK")
_OURS, _OUR_MEMORY = 3, 48 << 20
"""Processes of launchers among those watched, and what they take."""
_WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
_UTIME, _CHILDREN_STIME, _THREADS = 11, 15, 17
"""Places in /proc/PID/stat, counted behind the name."""


def prepare() -> None:
    """Take signals one by one from here on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)


def watch(spec: Spec, child: int, fd: int) -> None:
    """Until the child has ended: kill everything at a limit, or when told to."""
    deadline = time.monotonic() + spec.limits["wall"]
    peak, ended, stopped = 0, False, ""
    while not ended:
        got = signal.sigtimedwait(_WATCHED, spec.limits["interval"])
        if got is not None and got.si_signo != signal.SIGCHLD:
            stopped = "cancelled"
        elif time.monotonic() > deadline:
            stopped = "time"
        else:
            stopped, resident = _look(spec)
            peak = max(peak, resident)
        ended = reaped(child)
        if stopped and not ended:
            break
        stopped = ""
    end_all()
    report(fd, stopped=stopped, peak=peak)


def reaped(child: int) -> bool:
    """Collect who ended; whether the child is among them."""
    found = False
    with contextlib.suppress(ChildProcessError):
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) > 0:
            found = found or pid == child
    return found


def end_all() -> None:
    """Kill every descendant until there is none. They are stopped first, so that none makes new ones meanwhile."""
    while left := descendants(os.getpid()):
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        reaped(-1)
        signal.sigtimedwait({signal.SIGCHLD}, 0.005)


def descendants(root: int) -> list[int]:
    """Every process below, nearest first. One that ended and was not collected counts."""
    found, unseen = list[int](), [root]
    parents = None if os.path.exists("/proc/self/task") and _lists_children() else _parents()
    while unseen:
        below = _children(unseen.pop(), parents)
        found += below
        unseen += below
    return found


def _lists_children() -> bool:
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def _children(pid: int, parents: dict[int, list[int]] | None) -> list[int]:
    if parents is not None:
        return parents.get(pid, [])
    below = list[int]()
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                below += map(int, file.read().split())
    return below


def _parents() -> dict[int, list[int]]:
    """Children by parent, from all of /proc: for kernels that do not list them."""
    found = dict[int, list[int]]()
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(int(name))):
            found.setdefault(int(fields[1]), []).append(int(name))
    return found


def _stat(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().decode(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _held(pid: int) -> int:
    """Bytes of memory a process holds, shared ones too, but for pages of files, which the kernel can take back."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            lines = [line.split() for line in file if line.startswith((b"RssAnon:", b"RssShmem:"))]
    except OSError:
        return 0
    return sum(int(line[1]) for line in lines) << 10


def _look(spec: Spec) -> tuple[str, int]:
    """(which limit all together are over, or ""; bytes of memory in use)."""
    if not spec.has("limits"):
        return "", 0
    tasks = ticks = resident = 0
    for pid in descendants(os.getpid()):
        if fields := _stat(pid):
            tasks += int(fields[_THREADS])
            ticks += sum(map(int, fields[_UTIME:_CHILDREN_STIME]))
            resident += _held(pid)
    if tasks > spec.limits["processes"] + _OURS:
        return "processes", resident
    if resident > spec.limits["memory"] + _OUR_MEMORY:
        return "memory", resident
    return "cpu" if ticks / _TICKS > spec.limits["cpu"] else "", resident
