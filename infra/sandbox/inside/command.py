"""The command itself: limits, rules, exec; and the process beside it that waits for it and reports."""

from __future__ import annotations

import json
import os
import resource
import signal
from typing import NoReturn

from infra.sandbox.inside import kernel, landlock, seccomp
from infra.sandbox.inside.mounts import DEVICES
from infra.sandbox.inside.spec import Spec

_OURS = 2
"""Processes of the launcher that count against the same limit."""
_PLAIN_PROC = ("self", "cpuinfo", "meminfo", "version", "filesystems", "loadavg", "uptime", "stat")
"""What is shown of /proc where it is that of the whole machine."""
_NOT_FOUND, _NOT_RUN = 127, 126


def report(fd: int, **facts: object) -> None:
    """Tell who asked. One line, in one write."""
    os.write(fd, json.dumps(facts).encode() + b"\n")


def serve(spec: Spec, fd: int) -> NoReturn:
    """Run the command, reap whatever loses its parent, say how it ended, and end."""
    kernel.hide_memory()
    child = os.fork()
    if not child:
        _become(spec, fd)
    silence = os.open(os.devnull, os.O_RDWR)
    for each in range(3):
        os.dup2(silence, each)
    while True:
        ended, status, used = os.wait4(-1, 0)
        if ended == child:
            break
    most = max(used.ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    report(fd, status=os.waitstatus_to_exitcode(status), memory=most * 1024)
    os._exit(0)


def _become(spec: Spec, fd: int) -> NoReturn:
    """In the child: never returns."""
    try:
        confine(spec)
    except BaseException as error:
        report(fd, refused=f"{type(error).__name__}: {error}")
        os._exit(_NOT_RUN)
    try:
        os.execvpe(spec.argv[0], spec.argv, spec.environment)
    except OSError as error:
        os.write(2, f"{spec.argv[0]}: {error.strerror}\n".encode())
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUN)


def confine(spec: Spec) -> None:
    """Everything this process may not do, it cannot from here on. Raises OSError."""
    for each in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(each, signal.SIG_DFL)
    if spec.has("limits"):
        limit(spec)
    os.chdir(spec.folder)
    os.umask(0o022)
    if spec.has("privileges", "landlock", "seccomp"):
        kernel.no_new_privileges()
    if spec.has("privileges"):
        kernel.drop_capabilities()
    kernel.die_with_parent(signal.SIGKILL)  # after what makes the kernel forget it
    if spec.has("landlock"):
        landlock.restrict(*_rules(spec), network=spec.network)
    if spec.has("seccomp"):
        among_themselves = spec.has("mounts") and (spec.has("landlock") or not spec.network)
        seccomp.apply(unix=among_themselves, network=spec.network, segments=spec.has("ipc"))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def limit(spec: Spec) -> None:
    """Resources of each process, and of the user in this namespace."""
    amounts = {name: int(amount) for name, amount in spec.limits.items()}
    resource.setrlimit(resource.RLIMIT_CPU, _capped(resource.RLIMIT_CPU, amounts["cpu"]))
    for kind, amount in (
        (resource.RLIMIT_DATA, amounts["memory"]),
        (resource.RLIMIT_NOFILE, amounts["files"]),
        (resource.RLIMIT_FSIZE, amounts["file_size"]),
        (resource.RLIMIT_NPROC, amounts["processes"] + (_OURS if spec.has("pids") else _processes_of_user())),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(kind, _capped(kind, amount))


def _capped(kind: int, amount: int) -> tuple[int, int]:
    hard = resource.getrlimit(kind)[1]
    least = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
    return least, least


def _processes_of_user() -> int:
    """How many there are already, where they count against the same limit."""
    me, count = os.getuid(), 0
    for each in os.listdir("/proc"):
        try:
            count += each.isdigit() and os.stat(f"/proc/{each}").st_uid == me and len(os.listdir(f"/proc/{each}/task"))
        except OSError:
            continue
    return count


def _rules(spec: Spec) -> tuple[list[str], list[str], list[str]]:
    readable, writable = [*spec.readable], [*spec.writable]
    if spec.has("mounts"):
        readable += ["/proc", "/dev"]
        writable += ["/tmp", "/dev/shm"]
    else:
        readable += [f"/proc/{each}" for each in _PLAIN_PROC]
        writable += [spec.scratch]
    return readable, writable, list(DEVICES)
