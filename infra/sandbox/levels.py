"""How well a command is shut in: the levels, strongest first, and the layers that each is made of."""

from __future__ import annotations

from typing import Final

LEVELS: Final = ("bubblewrap", "namespaces", "mounts", "landlock")
"""Strongest first. Below all of them is "" (nothing), at which nothing is run.

* `bubblewrap`: namespaces and mounts by bubblewrap, inside of them Landlock and seccomp.
* `namespaces`: the same by our own launcher.
* `mounts`: namespaces and seccomp, on a kernel without Landlock.
* `landlock`: Landlock and seccomp alone, where namespaces are not permitted. The command sees the processes of others
  and shares their `/proc` and memory segments by name; it cannot reach them.
"""

LAYERS: Final = ("mounts", "pids", "net", "ipc", "privileges", "landlock", "seccomp", "limits")
"""`mounts`: a file system of its own, with only what was named. `pids`: sees and signals only its own processes.
`net`: a network with nothing in it but its own loopback. `ipc`: System V and POSIX segments, host name and cgroups of
its own. `privileges`: no capability, and none to be had by exec. `landlock`, `seccomp`: the kernel's rules on paths,
and on system calls. `limits`: of resources, and the watch over all processes.
"""

NAMESPACES: Final = frozenset({"mounts", "pids", "net", "ipc"})

_OF: Final[dict[str, frozenset[str]]] = {
    "bubblewrap": frozenset(LAYERS),
    "namespaces": frozenset(LAYERS),
    "mounts": frozenset(LAYERS) - {"landlock"},
    "landlock": frozenset(LAYERS) - NAMESPACES,
}


def layers_of(level: str) -> frozenset[str]:
    """The layers of a level."""
    return _OF[level]


def satisfies(reached: str, needed: str) -> bool:
    """Whether a level is at least another. Anything is at least ""; what is no level satisfies nothing and is never
    satisfied."""
    if not needed:
        return True
    return reached in LEVELS and needed in LEVELS and LEVELS.index(reached) <= LEVELS.index(needed)
