"""The same confines, said to bubblewrap; within them the launcher goes on with Landlock and seccomp."""

from __future__ import annotations

from infra.sandbox.inside.mounts import identity
from infra.sandbox.inside.spec import Spec

_SHARED = {"pids": "--unshare-pid", "ipc": "--unshare-ipc"}


def command(spec: Spec, inner: list[str]) -> list[str]:
    """The command line of bubblewrap around `inner`."""
    uid, gid = identity()
    line = [spec.bubblewrap, "--die-with-parent", "--new-session", "--unshare-user"]
    line += ["--cap-drop", "ALL", "--uid", str(uid), "--gid", str(gid)]
    line += [option for layer, option in _SHARED.items() if spec.has(layer)]
    if spec.has("ipc"):
        line += ["--unshare-uts", "--unshare-cgroup-try"]
    if spec.has("net") and not spec.network:
        line += ["--unshare-net"]
    line += _mounts(spec) if spec.has("mounts") else ["--dev-bind", "/", "/"]
    return [*line, "--", *inner]


def _mounts(spec: Spec) -> list[str]:
    scratch = str(int(spec.limits["scratch"]))
    line = ["--size", scratch, "--tmpfs", "/tmp", "--dev", "/dev", "--remount-ro", "/dev"]
    line += ["--size", scratch, "--tmpfs", "/dev/shm"]
    line += ["--proc", "/proc"] if spec.has("pids") else ["--ro-bind", "/proc", "/proc"]
    readable = dict.fromkeys((*spec.readable, *spec.python_home), "--ro-bind-try")
    options = readable | dict.fromkeys(spec.writable, "--bind")
    for path in sorted(options):
        line += [options[path], path, path]
    return [*line, "--remount-ro", "/"]
