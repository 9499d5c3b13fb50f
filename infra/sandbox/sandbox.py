"""A sandbox: the strongest level that this machine gives, found out by trying."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from events.errors import Invalid, Unavailable
from infra.sandbox import running, starting, system
from infra.sandbox.inside import kernel, landlock
from infra.sandbox.levels import LAYERS, LEVELS, layers_of, satisfies
from infra.sandbox.running import Ran
from infra.sandbox.self_test import Tried, forbidden_acts, stopped_by
from infra.sandbox.starting import PIPES, Confinement, Limits, Started

_NOT_TRIED: Final = "not tried: a stronger one works"


class Report(msgspec.Struct, frozen=True):
    """What the self-test found. `level` is "" when none is reached; `levels` says of each why not, or "reached";
    `acts` what became of each forbidden act at that level; `stopped_by` which layers stop it each alone."""

    level: str
    levels: dict[str, str]
    acts: dict[str, Tried] = {}
    stopped_by: dict[str, list[str]] = {}


class Sandbox:
    """Where commands run. `levels` are those to try; `without` leaves layers off, which is for tests: what is reached
    then has no name, whatever it stops."""

    def __init__(
        self,
        *,
        levels: Sequence[str] = LEVELS,
        without: Collection[str] = (),
        readable: Collection[str] = system.SYSTEM,
    ) -> None:
        if unknown := [*(set(levels) - set(LEVELS)), *(set(without) - set(LAYERS))]:
            raise Invalid(f"no level or layer: {', '.join(unknown)}", hint=", ".join([*LEVELS, *LAYERS]))
        self._levels = [level for level in LEVELS if level in levels]
        self._without = frozenset(without)
        self._readable = tuple(readable)
        self._report: Report | None = None
        self._confinement: Confinement | None = None
        self._once = asyncio.Lock()

    @property
    def level(self) -> str:
        """The level reached, "" before `prepare` and where there is none."""
        return self._report.level if self._report else ""

    @property
    def report(self) -> Report | None:
        """What `prepare` found."""
        return self._report

    async def prepare(self, *, attribute: bool = False) -> Report:
        """Try the levels, strongest first, until at one every forbidden act fails. With `attribute`, find out too
        which layer stops what, by trying each layer alone."""
        found, acts, confinement = dict[str, str](), dict[str, Tried](), None
        for level in self._levels:
            if confinement:
                found[level] = _NOT_TRIED
                continue
            if missing := _missing(level):
                found[level] = missing
                continue
            candidate = self.confinement(level)
            try:
                acts = await forbidden_acts(candidate)
            except Unavailable as error:
                found[level] = error.message
                continue
            done = [act for act, tried in acts.items() if tried.done]
            found[level] = f"does not stop {', '.join(done)}" if done and not self._without else "reached"
            confinement = candidate if found[level] == "reached" else None
        self._confinement = confinement
        reached = confinement.level if confinement else ""
        by = await stopped_by(confinement.layers) if attribute and confinement else {}
        self._report = Report(reached, found, acts if confinement else {}, by)
        return self._report

    async def ready(self) -> Report:
        """What `prepare` found, which is done when somebody first needs it."""
        async with self._once:
            return self._report or await self.prepare()

    def confinement(self, level: str = "") -> Confinement:
        """How a command is shut in, at the level reached or at another. Raises Unavailable."""
        if not level:
            if self._confinement is None:
                why = self._report.levels if self._report else {}
                raise Unavailable("there is no sandbox", hint="; ".join(f"{k}: {v}" for k, v in why.items()))
            return self._confinement
        bubblewrap = shutil.which("bwrap", path=system.ENVIRONMENT["PATH"]) if level == "bubblewrap" else ""
        return Confinement("" if self._without else level, layers_of(level) - self._without, bubblewrap or "")

    @property
    def readable(self) -> tuple[str, ...]:
        """Of the machine, what every command may read."""
        return self._readable


def _missing(level: str) -> str:
    """Why a level need not be tried, or ""."""
    if sys.platform != "linux" or not kernel.SUPPORTED:
        return f"not on {sys.platform} {kernel.MACHINE}"
    if level == "bubblewrap" and not shutil.which("bwrap", path=system.ENVIRONMENT["PATH"]):
        return "bubblewrap is not installed"
    if "landlock" in layers_of(level) and not landlock.version():
        return "the kernel has no Landlock"
    if level == "landlock" and landlock.version() < landlock.SCOPES_FROM:
        return "Landlock of this kernel does not keep signals within"
    return ""


async def run(
    argv: Sequence[str],
    *,
    sandbox: Sandbox,
    folder: str | os.PathLike[str],
    readable: Collection[str | os.PathLike[str]] = (),
    writable: Collection[str | os.PathLike[str]] = (),
    limits: Limits | None = None,
    network: bool = False,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    needed: str = "",
) -> Ran:
    """Run a command in `folder`, which it may read, and wait until nothing of it is left.

    It reads the system's programs and `readable`, writes `writable` and temporary files, and has no network. With
    `network` it has that of this machine, loopback included: only raw sockets are kept from it. Its environment is a
    short list and `environment`. At cancellation, and when this process dies, everything it started dies.

    Raises Invalid for paths that are not there, Unavailable where the level is not `needed` or there is no sandbox.
    """
    return await running.run_confined(
        argv, _needed(sandbox, needed), folder=folder, readable=readable, writable=writable, limits=limits,
        network=network, stdin=stdin, environment=environment, base=sandbox.readable,
    )  # fmt: skip


async def start(
    argv: Sequence[str],
    *,
    sandbox: Sandbox,
    folder: str | os.PathLike[str] | None = None,
    readable: Collection[str | os.PathLike[str]] = (),
    writable: Collection[str | os.PathLike[str]] = (),
    limits: Limits | None = None,
    network: bool = False,
    door: int = 0,
    environment: Mapping[str, str] | None = None,
    descriptors: Mapping[int, int] | None = None,
    streams: tuple[int, int, int] = PIPES,
    needed: str = "",
) -> Started:
    """Start a command that goes on, as confined as one of `run`; it is ended by `Started.end`, by its limits, by
    SIGTERM to its process, and when this process dies.

    Without a `folder` it works in a private place for temporary files, which is its HOME and is gone with it. `door` is
    a port of its own loopback (1024 or higher) on which whoever starts it listens, by `Started.door`: all the network
    it has. `descriptors` are open ones by the numbers that they have for the command, `streams` what is said of the
    first three to `asyncio.create_subprocess_exec`.

    Raises Invalid for paths that are not there, Unavailable where the level is not `needed`, there is no sandbox, or a
    door is wanted and the level has no network of its own.
    """
    return await starting.start_confined(
        argv, _needed(sandbox, needed), folder=folder, readable=readable, writable=writable, limits=limits,
        network=network, door=door, environment=environment, descriptors=descriptors, streams=streams,
        base=sandbox.readable,
    )  # fmt: skip


def _needed(sandbox: Sandbox, needed: str) -> Confinement:
    confinement = sandbox.confinement()
    if not satisfies(confinement.level, needed):
        raise Unavailable(f"the sandbox is at level {confinement.level or 'none'}, and {needed} is needed")
    return confinement
