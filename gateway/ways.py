"""How to do something, as it is done where it is read: by a command in the terminal, by a route over HTTP.

Hints name either, in backticks. A problem that leaves over HTTP names routes, and the command line turns them into
commands. What can be done in one of the two ways only stays as it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, unquote

WAYS: Final = (
    ("THESPIS_TOKEN=TOKEN", "Authorization: Bearer TOKEN"),
    ("thespis publish", "POST /v1/events"),
    ("thespis events list", "GET /v1/events"),
    ("thespis events list --correlation MESSAGE", "GET /v1/events?correlation=MESSAGE"),
    ("thespis events show POSITION", "GET /v1/events/POSITION"),
    ("thespis actors list", "GET /v1/actors"),
    ("thespis actors resume ADDRESS", "POST /v1/actors/ADDRESS/resume"),
    ("thespis replay ADDRESS", "GET /v1/actors/ADDRESS/history"),
    ("thespis actors show ADDRESS", "GET /v1/actors/ADDRESS"),
    ("thespis effects resolve EFFECT", "POST /v1/effects/EFFECT/resolve"),
    ("thespis inbox list", "GET /v1/projections/inbox"),
    ("thespis projections list", "GET /v1/projections"),
    ("thespis projections builds NAME", "GET /v1/projections/NAME/builds"),
    ("thespis projections parked NAME", "GET /v1/projections/NAME/parked"),
    ("thespis projections rebuild NAME", "POST /v1/projections/NAME/rebuild"),
    ("thespis subjects list", "GET /v1/subjects"),
    ("thespis agents list", "GET /v1/agents"),
    ("thespis models list", "GET /v1/models"),
    ("thespis conversations list", "GET /v1/conversations"),
    ("thespis conversations show CONVERSATION", "GET /v1/conversations/CONVERSATION"),
    ("thespis tools list", "GET /v1/tools"),
    ("thespis policy list", "GET /v1/policies"),
    ("thespis budgets list", "GET /v1/budgets"),
    ("thespis workflows list", "GET /v1/workflows"),
    ("thespis workflows show NAME", "GET /v1/workflows/NAME"),
    ("thespis runs list", "GET /v1/runs"),
    ("thespis runs show RUN", "GET /v1/runs/RUN"),
    ("thespis assets list", "GET /v1/assets"),
    ("thespis approvals list", "GET /v1/approvals"),
    ("thespis approvals approve APPROVAL", "POST /v1/approvals/APPROVAL/approve"),
)
"""(in the terminal, over HTTP). What is written in capitals stands for a value; that of ADDRESS may have slashes."""

_VALUE: Final = re.compile(r"\b[A-Z]{3,}\b(?!=|\s/)")
_QUOTED: Final = re.compile(r"`([^`]+)`")


def over_http(text: str) -> str:
    """The text, with routes in place of commands."""
    return _QUOTED.sub(lambda found: f"`{_said(found[1], _TO_ROUTES, _in_route)}`", text)


def in_terminal(text: str) -> str:
    """The text, with commands in place of routes."""
    return _QUOTED.sub(lambda found: f"`{_said(found[1], _TO_COMMANDS, _in_command)}`", text)


def _said(words: str, ways: list[tuple[re.Pattern[str], str]], write: Callable[[str], str]) -> str:
    for way, other in ways:
        if found := way.fullmatch(words):
            return other.format(**{name: write(value) for name, value in found.groupdict().items()})
    return words


def _in_route(value: str) -> str:
    return quote("".join(shlex.split(value)), safe="/:")


def _in_command(value: str) -> str:
    return shlex.quote(unquote(value))


def _ways(pairs: list[tuple[str, str]]) -> list[tuple[re.Pattern[str], str]]:
    """Patterns of what is on the left, each with what is said instead."""
    return [(re.compile(_pattern(left)), _VALUE.sub(lambda value: f"{{{value[0]}}}", right)) for left, right in pairs]


def _pattern(text: str) -> str:
    parts, at = list[str](), 0
    for value in _VALUE.finditer(text):
        one = r"[^`?\s]+" if value[0] == "ADDRESS" else r"[^/`?\s]+"
        parts += [re.escape(text[at : value.start()]), f"(?P<{value[0]}>{one})"]
        at = value.end()
    return "".join(parts) + re.escape(text[at:])


_TO_ROUTES: Final = _ways([(command, route) for command, route in WAYS])
_TO_COMMANDS: Final = _ways([(route, command) for command, route in WAYS])
