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
from actors.tools.tool import RISKS, ROLES
from events.errors import BadDefinition, NotFound

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
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
