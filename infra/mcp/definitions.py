"""What a server says of a tool, and what is made of it: hints raise the risk and never lower it."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Final, cast

import msgspec
from mcp import types

from actors.tools.tool import RISKS
from events.errors import BadDefinition
from infra.mcp.config import McpServer, ToolRule
from infra.mcp.schemas import bounded
from infra.tools.web.visible import visible

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
DESCRIPTION: Final = 4096

_GUESSES: Final = (
    ("command", re.compile(r"(^|_)(cmd|command|commands|script|code|sql|query|shell|exec|expression)$")),
    (
        "destination",
        re.compile(
            r"(^|_)(url|uri|href|link|endpoint|host|hostname|address|to|cc|bcc|recipients?|email|phone|channel|room|target"
            r"|destination|path|file|filename|dir|directory|repo|repository|bucket|topic|webhook|callback|redirect)s?(_id)?$"
        ),
    ),
    ("body", re.compile(r"(^|_)(body|text|message|content|subject|comment|title|description|markdown|html)$")),
)
"""What an argument probably decides, by its name, where nobody said it. The stricter guess comes first."""


class Foreign(msgspec.Struct, frozen=True):
    """A tool as its server defines it, as far as it is taken. `digest` is that of all a model or checker would see."""

    name: str
    description: str
    parameters: dict[str, Any]
    annotations: dict[str, Any]
    digest: str


def foreign(tool: types.Tool) -> Foreign:
    """What is taken of a definition. Raises BadDefinition when it is none to be trusted with anything."""
    if not NAME.fullmatch(tool.name):
        raise BadDefinition("its name has odd characters or is too long")
    raw = tool.model_dump(by_alias=True, mode="json", exclude_none=True, exclude={"meta", "icons"})
    said = msgspec.json.encode(raw, order="deterministic")
    description = visible(tool.description or tool.title or "")[:DESCRIPTION]
    hints = cast(dict[str, Any], raw.get("annotations") or {})
    annotations = {name: visible(each)[:200] if isinstance(each, str) else each for name, each in hints.items()}
    return Foreign(tool.name, description, bounded(tool.input_schema), annotations, sha256(said).hexdigest())


def risk_of(server: McpServer, rule: ToolRule, annotations: dict[str, Any]) -> str:
    """The tier said here, raised by what the server admits; what it promises counts for nothing."""
    said = RISKS.index(rule.risk or server.risk)
    admitted = 0
    if annotations.get("readOnlyHint") is False:
        admitted = RISKS.index("write-reversible")
    if annotations.get("destructiveHint") is True:
        admitted = RISKS.index("write-external")
    if annotations.get("openWorldHint") is True:
        admitted = max(admitted, RISKS.index("read-network"))
    return RISKS[max(said, admitted)]


def roles_of(rule: ToolRule, parameters: dict[str, Any]) -> dict[str, str]:
    """What each argument decides: as said here, else guessed from its name."""
    properties = parameters.get("properties")
    names = list(cast(dict[str, Any], properties)) if isinstance(properties, dict) else []
    guessed: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|-", "_", name).lower()
        role = next((role for role, expression in _GUESSES if expression.search(plain)), "")
        if role:
            guessed[name] = role
    return {**guessed, **rule.roles}
