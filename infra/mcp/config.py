"""What is said of an MCP server before it is spoken to, and the secrets it is given, by reference."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from actors.core.kind import EFFECT_CLASSES
from actors.tools.tool import RISKS, ROLES, ToolError
from events.errors import BadDefinition, NotFound
from infra.sandbox.levels import LEVELS
from infra.tools.web.guard import Guard

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
UNCONFINED: Final = "unconfined"
PUBLIC: Final = "public"
MACHINE: Final = "machine"
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class ToolRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is known here of one tool of a server, better than the server says. Empty: as for its other tools."""

    risk: str = ""
    effect_class: str = ""
    roles: dict[str, str] = {}
    sandbox: str = ""
    timeout: float = 0.0
    at_once: int = 0
    per_minute: int = 0


class McpServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An MCP server: a `command` with `args` over stdio, or a `url` over streamable HTTP.

    Values of `env` and `headers` are references: `env:NAME` (of this process), `file:PATH`, or `text:…` for what is no
    secret. Its tools are called `<name>.<tool>` and have the risk and effect class said here; `tools` says it of single
    ones, `include` and `exclude` name those to take and to leave. Times in seconds, sizes in bytes.
    """

    name: str
    command: str = ""
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str = ""
    url: str = ""
    headers: dict[str, str] = {}
    risk: str = "write-external"
    effect_class: str = "irreversible"
    tools: dict[str, ToolRule] = {}
    include: list[str] = []
    exclude: list[str] = []
    start_timeout: float = 20.0
    call_timeout: float = 60.0
    max_message: int = 4 * 1024 * 1024
    max_result: int = 256 * 1024
    max_tools: int = 256
    sandbox: str = "landlock"
    """The level of the sandbox (`infra/sandbox`) that a `command` needs: it is started in the strongest one there is,
    and not at all where that is weaker. `unconfined`: started as it is, able to do what the host may."""
    reads: list[str] = []
    """Files and folders that it may read, besides the system's programs, its own and `cwd`. Relative to `cwd`."""
    writes: list[str] = []
    """Those it may read and write, besides a HOME of its own, which is gone when it ends."""
    network: list[str] = []
    """Where it may connect to, by a proxy that it is told of (HTTPS_PROXY and its like): `host:port`, which may be
    private, and `public` for every public address, ports 80 and 443. Or `machine` alone: all this machine reaches,
    loopback included; no level counts as reached then."""
    memory: int = 1 << 30
    """Bytes, of all its processes together."""
    processes: int = 256
    """Processes and threads together."""
    fresh: float = 60.0
    """Definitions are asked for again before a call when they are older, notice of a change or not."""
    legacy: bool = False
    """Begin with the handshake of before 2026, for servers that do not bear being asked which they speak."""


def checked(server: McpServer) -> McpServer:
    """The same. Raises BadDefinition."""
    where = f"MCP server {server.name!r}"
    if not NAME.fullmatch(server.name):
        raise BadDefinition(f"{where}: not a name", hint="lower-case letters, digits, - and _")
    if bool(server.command) == bool(server.url):
        raise BadDefinition(f"{where} needs either a command or a url")
    if server.url:
        parts = urlsplit(server.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise BadDefinition(f"{where}: its url is not one of http or https without credentials")
        secret = any(not value.startswith("text:") for value in server.headers.values())
        if secret and parts.scheme == "http" and parts.hostname not in _LOCAL:
            raise BadDefinition(f"{where}: its headers hold secrets, which are not sent unencrypted", hint="use https")
    _confines(server, where)
    for name, value in {**server.env, **server.headers}.items():
        if not value.startswith(("env:", "file:", "text:")):
            raise BadDefinition(f"{where}: {name} is given by value", hint="write env:NAME, file:PATH or text:…")
    for rule in (ToolRule(server.risk, server.effect_class), *server.tools.values()):
        if rule.risk and rule.risk not in RISKS:
            raise BadDefinition(f"{where}: {rule.risk!r} is not a risk tier", hint=", ".join(RISKS))
        if rule.effect_class and rule.effect_class not in EFFECT_CLASSES:
            raise BadDefinition(f"{where}: {rule.effect_class!r} is no effect class", hint=", ".join(EFFECT_CLASSES))
        for role in rule.roles.values():
            if role not in ROLES:
                raise BadDefinition(f"{where}: {role!r} is not a role", hint=", ".join(ROLES))
    return server


def _confines(server: McpServer, where: str) -> None:
    """Whether what it may do makes sense. Raises BadDefinition."""
    if server.sandbox not in (UNCONFINED, *LEVELS):
        raise BadDefinition(f"{where}: {server.sandbox!r} is no level", hint=", ".join((*LEVELS, UNCONFINED)))
    named = [name for name in ("reads", "writes", "network") if getattr(server, name)]
    if named and (server.url or server.sandbox == UNCONFINED):
        why = "a server elsewhere" if server.url else "one that is unconfined"
        raise BadDefinition(f"{where}: {', '.join(named)} mean nothing for {why}", hint="leave them out")
    if "" in (*server.reads, *server.writes):
        raise BadDefinition(f"{where}: an empty path", hint="name a file or a folder")
    if MACHINE in server.network and len(server.network) > 1:
        raise BadDefinition(f"{where}: `{MACHINE}` is all of the network", hint="leave out the rest of `network`")
    try:
        Guard(each for each in server.network if each not in (PUBLIC, MACHINE))
    except ToolError as error:
        raise BadDefinition(f"{where}: network: {error}", hint=f"host:port, {PUBLIC} or {MACHINE}") from None
    if server.memory <= 0 or server.processes <= 0:
        raise BadDefinition(f"{where}: memory and processes are more than 0")


def looked_up(values: Mapping[str, str], environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the references stand for. Raises NotFound, naming the reference and never a value."""
    given = os.environ if environment is None else environment
    return {name: _value(reference, given) for name, reference in values.items()}


def _value(reference: str, environment: Mapping[str, str]) -> str:
    how, _, what = reference.partition(":")
    match how:
        case "text":
            return what
        case "env":
            if what not in environment:
                raise NotFound(f"{reference} is not set")
            return environment[what]
        case _:
            try:
                return Path(what).expanduser().read_text().strip()
            except OSError as error:
                raise NotFound(f"{reference} cannot be read: {error.strerror}") from None


class Redaction:
    """Takes secrets out of what a server says."""

    def __init__(self, references: Mapping[str, str], values: Mapping[str, str]) -> None:
        found = {values[name]: ref for name, ref in references.items() if not ref.startswith("text:")}
        self._secrets = sorted(((v, r) for v, r in found.items() if len(v) >= 6), key=lambda one: -len(one[0]))

    def __call__(self, text: str) -> str:
        """The text with each secret replaced by its reference."""
        for value, reference in self._secrets:
            text = text.replace(value, f"[{reference}]")
        return text
