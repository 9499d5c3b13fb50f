"""What the launcher is told, as JSON in a file without a name."""

from __future__ import annotations

import json
import os
from typing import NamedTuple


class Spec(NamedTuple):
    """One command and its confines. Paths are absolute and real; `scratch` is for temporary files where there is no
    `mounts`; `bubblewrap` the path of that program, "" for our own namespaces; `python` what it runs inside."""

    parent: int
    argv: list[str]
    environment: dict[str, str]
    folder: str
    readable: list[str]
    writable: list[str]
    layers: list[str]
    limits: dict[str, float]
    network: bool
    scratch: str
    bubblewrap: str
    python: str
    python_home: list[str]
    """What Python needs to start within bubblewrap; hidden again from the command by Landlock."""
    descriptors: list[tuple[int, int]] = []  # noqa: RUF012 - of a tuple
    """Open ones that the command gets: (the number it has for the command, the number it has here)."""
    door: int = 0
    """A port of the command's own loopback, where whoever started it listens; 0 for none."""
    channel: int = -1
    """The socket by which the listener of the door is handed out."""

    def has(self, *layers: str) -> bool:
        """Whether any of these layers is on."""
        return any(each in self.layers for each in layers)


def write(spec: Spec) -> int:
    """The descriptor of a file with it, which children inherit when told to."""
    fd = os.memfd_create("sandbox", os.MFD_CLOEXEC)
    os.write(fd, json.dumps(spec._asdict()).encode())
    return fd


def read(fd: int) -> Spec:
    """What was written there."""
    return Spec(**json.loads(os.pread(fd, os.fstat(fd).st_size, 0)))
