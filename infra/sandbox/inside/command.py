"""The command itself: limits, rules, exec; and the process beside it that waits for it and reports."""

from __future__ import annotations

import fcntl
import json
import math
import os
import resource
import signal
import socket
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
    if spec.door:
        _open_door(spec)
    child = os.fork()
    if not child:
        _become(spec, fd)
    for _, here in spec.descriptors:
        os.close(here)
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


def _open_door(spec: Spec) -> None:
    """Listen on the loopback there is here, and hand the listener to whoever started all this."""
    with socket.socket() as listener, socket.socket(fileno=spec.channel) as channel:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", spec.door))
        listener.listen(128)
        socket.send_fds(channel, [b"\0"], [listener.fileno()])


def _hand_over(spec: Spec, fd: int) -> int:
    """Put descriptors where the command expects them. Where to report, which may have been in their way."""
    if not spec.descriptors:
        return fd
    wanted = [number for number, _ in spec.descriptors]
    above = max(wanted) + 1
    fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above)
    kept = [fcntl.fcntl(here, fcntl.F_DUPFD_CLOEXEC, above) for _, here in spec.descriptors]
    for _, here in spec.descriptors:
        os.close(here)
    for number, here in zip(wanted, kept, strict=True):
        os.dup2(here, number)
    return fd


def _become(spec: Spec, fd: int) -> NoReturn:
    """In the child: never returns."""
    try:
        fd = _hand_over(spec, fd)
        confine(spec)
        report(fd, running=True)
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
        landlock.restrict(*_rules(spec), network=spec.network, port=spec.door)
    if spec.has("seccomp"):
        among_themselves = spec.has("mounts") and (spec.has("landlock") or not spec.network)
        seccomp.apply(unix=among_themselves, network=spec.network or bool(spec.door), segments=spec.has("ipc"))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def limit(spec: Spec) -> None:
    """Resources of each process, and of the user in this namespace."""
    unlimited = resource.RLIM_INFINITY
    amounts = {name: int(amount) if math.isfinite(amount) else unlimited for name, amount in spec.limits.items()}
    resource.setrlimit(resource.RLIMIT_CPU, _capped(resource.RLIMIT_CPU, amounts["cpu"]))
    for kind, amount in (
        (resource.RLIMIT_DATA, amounts["each"] or amounts["memory"]),
        (resource.RLIMIT_NOFILE, amounts["files"]),
        (resource.RLIMIT_FSIZE, amounts["file_size"]),
        (resource.RLIMIT_NPROC, amounts["processes"] + (_OURS if spec.has("pids") else _processes_of_user())),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(kind, _capped(kind, amount))


def _capped(kind: int, amount: int) -> tuple[int, int]:
    hard = resource.getrlimit(kind)[1]
    least = min((each for each in (amount, hard) if each != resource.RLIM_INFINITY), default=resource.RLIM_INFINITY)
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
