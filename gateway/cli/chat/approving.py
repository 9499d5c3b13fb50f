"""Agreeing to what a tool wants to do, in the middle of a talk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from actors.channels.port import Deliver
from actors.channels.rendering import wanted as wanted_of
from actors.channels.terminal import TERMINAL, safe
from events.errors import NotFound, Refused, ThespisError
from events.ids import random_id
from gateway.cli.chat.reading import Reader
from gateway.cli.chat.screen import Screen
from gateway.cli.http import Api, path
from gateway.cli.retrying import retrying

QUESTION: Final = "agree? [y/n] "

PATIENCE: Final = 10.0
"""Seconds that a question may be on its way."""

_WORDS: Final = {"y": True, "yes": True, "n": False, "no": False}


async def decide(api: Api, screen: Screen, reader: Reader, question: Deliver) -> bool | None:
    """Show what is asked, and say yes or no in the name of the token; None when nobody here does.

    Raises Interrupted.
    """
    what = wanted_of(question)
    approval, digest = what["approval"].removeprefix("approval/"), what["digest"]
    asked = await _asked(api, approval)
    wanted = await retrying(lambda: api.get(path("calls", what["call"].removeprefix("call/"))), reached=True)
    for line in TERMINAL.rendered(question):
        screen.say(line, bold=True, fg="yellow")
    _show(screen, asked, wanted)
    while True:
        line = await reader.line(QUESTION)
        if line is None:
            screen.note(f"it waits: thespis approvals approve {approval}, or deny")
            return None
        word = _WORDS.get(line.strip().lower())
        if word is not None:
            break
    try:
        return await _say(api, approval, digest, word)
    except Refused as error:
        screen.warn(f"{error.message}; somebody else may: thespis approvals approve {approval}")
    except ThespisError as error:
        screen.warn(error.message)
    return None


async def _asked(api: Api, approval: str) -> dict[str, Any]:
    """What is asked: the question may still be on its way from whoever waits for the answer. Raises NotFound."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while True:
        try:
            return await retrying(lambda: api.get(path("approvals", approval)), reached=True)
        except NotFound:
            if loop.time() > end:
                raise
        await asyncio.sleep(0.05)


async def _say(api: Api, approval: str, digest: str, yes: bool) -> bool:
    key = random_id()
    where = path("approvals", approval, "approve" if yes else "deny")
    body = {"digest": digest} if yes else {}
    await retrying(lambda: api.post(where, body, key=key), reached=True)
    return yes


def _show(screen: Screen, asked: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """The tool's risk, its arguments, and what it would change."""
    screen.say(f"  risk: {wanted['risk']}, {wanted['effect_class']}")
    if wanted["why"]:
        screen.say(f"  because: {safe(wanted['why'])}")
    for name, value in _arguments(wanted).items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        _block(screen, name, text)
    _preview(screen, _members(asked["what"]).get("preview"))
    screen.say(f"  digest: {asked['digest'][:16]}…", dim=True)


def _arguments(wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    return _members(wanted["arguments"]) or {"arguments": wanted["arguments"]}


def _members(value: Any) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _block(screen: Screen, name: str, text: str) -> None:
    lines = safe(text).split("\n")
    if len(lines) == 1:
        screen.say(f"  {safe(name)}: {lines[0]}")
        return
    screen.say(f"  {safe(name)}:")
    for line in lines:
        screen.say(f"    {line}")


def _preview(screen: Screen, preview: Any) -> None:
    """What the tool says it would do: a difference in colours, anything else by its name."""
    if isinstance(preview, str) and preview:
        _block(screen, "it would do", preview)
    for name, value in _members(preview).items():
        if name == "diff" and isinstance(value, str):
            _diff(screen, value)
        elif value not in (None, "", [], {}):
            _block(screen, name, value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _diff(screen: Screen, text: str) -> None:
    screen.say("  it would change:")
    for line in safe(text).rstrip("\n").split("\n"):
        color = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        screen.say(f"    {line}", **({"fg": color} if color else {}))
