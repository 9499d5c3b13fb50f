"""Beginning a talk: a new conversation or one that goes on, what was said before, and what is known of the agent."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from actors.channels.port import Deliver
from events.errors import NotFound
from events.ids import random_id
from gateway.cli.chat.link import Link
from gateway.cli.chat.reading import Given, reader
from gateway.cli.chat.screen import Screen
from gateway.cli.chat.talk import Left, Talk
from gateway.cli.http import Api, path
from gateway.cli.retrying import retrying

SHOWN: Final = 10
"""Turns that are shown of a conversation that goes on."""


async def begun(api: Api, agent: str, id: str | None, key: str) -> dict[str, Any]:
    """The conversation, begun if there is none yet. Raises what the server reports."""
    if id is not None:
        try:
            return await api.get(path("conversations", id), {"limit": SHOWN})
        except NotFound:
            pass
    body = {"agent": agent, "channel": "terminal"} | ({"id": id} if id is not None else {})
    opened = await retrying(lambda: api.post(path("conversations"), body, key=key))
    return await api.get(path("conversations", opened["conversation"]), {"limit": SHOWN})


async def talk(api: Api, agent: str, id: str | None) -> None:
    """Talk at this terminal until whoever talks leaves."""
    found = await _agent(api, agent)
    conversation = await begun(api, agent, id, random_id())
    screen = Screen()
    name = conversation["conversation"]
    screen.note(f"{agent} version {found['current'] or found['version']}, conversation {name}")
    if found["stand_in"]:
        screen.note("its model is the scripted stand-in: answers are prepared, no language model is asked")
    said = _before(screen, conversation)
    async with Link(api, name, conversation["position"]) as link:
        work = Talk(link, screen, reader(said), _known(conversation))
        turn, asks = _under_way(screen, conversation)
        await work.run(turn, asks)
    screen.settle()
    screen.note(f"go on with: thespis chat {agent} --conversation {name}")


async def once(api: Api, agent: str, id: str | None, text: str, key: str, screen: Screen) -> dict[str, Any]:
    """Say one thing and wait for its answer: `conversation`, `status`, `text` and what else is known of it."""
    await _agent(api, agent)
    conversation = await begun(api, agent, id, key)
    name = conversation["conversation"]
    async with Link(api, name, conversation["position"]) as link:
        work = Talk(link, screen, Given(), _known(conversation))
        with contextlib.suppress(Left):
            await work.say(text, key)
    screen.settle()
    out: dict[str, Any] = {"conversation": name, "turn": work.ended.get("turn", 0), "status": work.ended.get("status")}
    reply, ended = work.reply, work.ended
    out |= {"text": reply.get("text"), "data": reply.get("data"), "citations": reply.get("citations", [])}
    out |= {member: ended.get(member) for member in ("code", "reason", "usage", "cost", "approval")}
    return out


async def _agent(api: Api, name: str) -> dict[str, Any]:
    return await retrying(lambda: api.get(path("agents", name)))


def _known(conversation: dict[str, Any]) -> int:
    return max((message["number"] for message in conversation["messages"]), default=0)


def _before(screen: Screen, conversation: dict[str, Any]) -> list[str]:
    """Show what was said before; the lines of people, for the history of the terminal."""
    turns, said = conversation["turns"], list[str]()
    if conversation["more"]:
        screen.note("earlier turns are left out")
    for turn in turns:
        for message in conversation["messages"]:
            if message["turn"] == turn["turn"]:
                screen.spoken(message["sender"].removeprefix("user:"), message["text"])
                said.append(message["text"])
        if turn["status"] == "replied":
            screen.spoken(conversation["agent"], turn["text"])
            screen.cited(turn["citations"])
        elif turn["status"] != "running":
            screen.warn(f"{turn['status']}: {turn['reason'] or turn['code']}")
    for message in conversation["messages"]:
        if not message["turn"]:
            screen.spoken(message["sender"].removeprefix("user:"), message["text"])
    return said


def _under_way(screen: Screen, conversation: dict[str, Any]) -> tuple[int, list[Deliver]]:
    """The turn that goes on, and what it waits for people to agree to."""
    number = conversation["turn"]
    if not number:
        return 0, []
    screen.note("the answer is under way")
    turn = conversation["turns"][-1]
    return number, [_asks(tool) for tool in turn["tools"] if tool["status"] == "waiting"]


def _asks(tool: dict[str, Any]) -> Deliver:
    """What went out when it began to wait."""
    what = {name: tool[name] for name in ("approval", "digest", "tool", "call")}
    return Deliver("terminal", "", 0, "approval", f"{tool['tool']} asks for agreement", what)
