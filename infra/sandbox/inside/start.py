"""What the launcher does, in order. `outer` starts the command and looks after it; `inner` is run by bubblewrap."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from infra.sandbox.inside import bubblewrap, kernel, mounts, watch
from infra.sandbox.inside import spec as specs
from infra.sandbox.inside.command import report, serve
from infra.sandbox.inside.spec import Spec


def main(program: str, mode: str, given: int, fd: int) -> None:
    """`given` and `fd` are the descriptors of the Spec and of the pipe to report on."""
    try:
        spec = specs.read(given)
        os.set_inheritable(fd, False)
        if mode == "inner":
            os.close(given)
            serve(spec, fd)
        inner = [spec.python, "-I", "-S", os.path.abspath(program), "inner", str(given), str(fd)]
        _look_after(spec, inner, given, fd)
    except Exception as error:
        report(fd, refused=f"{type(error).__name__}: {error}")
        sys.exit(1)


def _look_after(spec: Spec, inner: list[str], given: int, fd: int) -> None:
    watch.prepare()
    kernel.adopt_orphans()
    if not spec.bubblewrap and spec.has("mounts", "pids", "net", "ipc"):
        mounts.enter_user_namespace(kernel.CLONE_NEWPID if spec.has("pids") else 0)
    kernel.die_with_parent(signal.SIGTERM)  # after what makes the kernel forget it
    if os.getppid() != spec.parent:
        sys.exit(1)
    child = os.fork()
    if not child:
        _be_the_child(spec, inner, given, fd)
    for each in {0, 1, 2, given, *_passed(spec)}:
        os.close(each)
    watch.watch(spec, child, fd)


def _passed(spec: Spec) -> list[int]:
    """Descriptors on their way through."""
    return [here for _, here in spec.descriptors] + ([spec.channel] if spec.door else [])


def _be_the_child(spec: Spec, inner: list[str], given: int, fd: int) -> NoReturn:
    try:
        kernel.die_with_parent(signal.SIGKILL)
        if spec.bubblewrap:
            for each in (given, fd, *_passed(spec)):
                os.set_inheritable(each, True)
            os.execv(spec.bubblewrap, bubblewrap.command(spec, inner))
        os.close(given)
        os.setsid()
        _enter_namespaces(spec)
        serve(spec, fd)
    except BaseException as error:
        report(fd, refused=f"{type(error).__name__}: {error}")
        os._exit(1)


def _enter_namespaces(spec: Spec) -> None:
    flags = kernel.CLONE_NEWNS if spec.has("mounts") else 0
    if spec.has("net") and not spec.network:
        flags |= kernel.CLONE_NEWNET
    if spec.has("ipc"):
        flags |= kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP
    if flags:
        kernel.unshare(flags)
    if spec.door and flags & kernel.CLONE_NEWNET:
        kernel.loopback_up()
    if spec.has("mounts"):
        mounts.build(spec)
