"""Channels: one shape in, their own shape out; what goes out is intended, attempted, delivered, once and in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.channels.http import Http
from actors.channels.port import Channel, Deliver, Incoming
from actors.channels.rendering import pieces, plain, rendered
from actors.channels.table import CHANNELS, capabilities
from actors.channels.terminal import Terminal, safe
from events.conversations import OutboundAttempted, OutboundDelivered, OutboundFailed, OutboundIntended
from events.errors import InvalidData
from tests.conversations.place import Room, World, run

PUSHED = {"channel": "telegram:1"}


@pytest.mark.parametrize(
    ("channel", "raw"),
    [(Http(), ("c", "user:ada", {"text": "hi", "id": "1"})), (Terminal(), ("c", "user:ada", "1", " hi \n"))],
)
def test_what_comes_in_has_one_shape(channel: Channel, raw: Any) -> None:
    assert channel.incoming(raw) == Incoming(channel.name, "c", "1", "user:ada", "hi")
    assert channel.name in CHANNELS


@pytest.mark.parametrize(
    ("channel", "raw"),
    [
        (Http(), ("c", "user:ada", {"text": 7})), (Http(), ("c", "user:ada", {"text": "x", "unknown": 1})),
        (Http(), ("c", "user:ada", {"text": "x" * 1_000_001})), (Terminal(), ("c", "user:ada", "1", " \n")),
    ],
)  # fmt: skip
def test_what_is_no_message_is_not_taken(channel: Channel, raw: Any) -> None:
    with pytest.raises(InvalidData):
        channel.incoming(raw)


def test_a_message_in_the_name_of_another_is_not_trusted() -> None:
    assert Http().incoming(("c", "token:bot", {"text": "hi", "sender": "user:ada"})).label == "untrusted/private"


def test_what_goes_out_is_the_channels_own() -> None:
    deliver = Deliver("terminal", "conversation/c", 1, "failure", "no\x1b[2J\nmodel", attempt=1)
    assert Terminal().outgoing(deliver) == ["no answer: no[2J", "model"]
    assert Http().outgoing(deliver)[0]["kind"] == "failure"


def test_markdown_becomes_plain_where_it_is_not_shown() -> None:
    text = "# Title\n**bold** and [here](https://x.org)\n```py\ncode\n```"
    assert plain(text) == "Title\nbold and here (https://x.org)\ncode\n"
    assert rendered(text, CHANNELS["http"]) == [text]


@given(st.text(" \nab", max_size=400), st.integers(5, 60))
def test_pieces_are_short_enough_and_nothing_but_space_is_lost(text: str, longest: int) -> None:
    found = pieces(text, longest)
    if len(text) > longest:
        assert all(0 < len(piece) <= longest for piece in found)
    assert "".join("".join(found).split()) == "".join(text.split())


@given(st.text())
def test_a_terminal_is_only_shown_text(text: str) -> None:
    assert not [c for c in safe(text) if c not in "\n\t" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0)]


def test_an_unknown_channel_takes_text_pushed() -> None:
    assert not capabilities("pigeon:7").pulled
    assert capabilities("http:x").pulled


# -- what goes out of a conversation


def test_a_pushed_channel_is_handed_one_message_after_the_other() -> None:
    async def script(room: Room) -> None:
        await room.open(**PUSHED)
        for n in range(3):
            await room.say(str(n), **PUSHED)
        await room.quiet()
        assert [(d.number, d.text) for d in room.world.sent] == [(n + 1, f"you said {n}") for n in range(3)]
        kinds = [type(f).__name__ for f in await room.only(OutboundIntended, OutboundAttempted, OutboundDelivered)]
        assert kinds == ["OutboundIntended", "OutboundAttempted", "OutboundDelivered"] * 3

    run(script)


def test_what_a_channel_does_not_take_is_failed_and_the_next_one_is_sent() -> None:
    world = World()
    world.undeliverable = lambda deliver: "blocked" if deliver.number == 1 else ""

    async def script(room: Room) -> None:
        await room.open(**PUSHED)
        await room.say("a", **PUSHED)
        await room.say("b", **PUSHED)
        await room.quiet()
        failed = await room.only(OutboundFailed)
        assert [(f.number, f.unknown, f.reason) for f in failed] == [(1, False, "ValueError: blocked")]
        assert [d.number for d in world.sent] == [2]

    run(script, world=world)


def test_what_a_channel_may_have_or_not_is_never_sent_twice() -> None:
    world = World()
    world.deliveries = "irreversible"
    world.undeliverable = lambda deliver: "lost" if deliver.number == 1 else ""

    async def script(room: Room) -> None:
        await room.open(**PUSHED)
        await room.say("a", **PUSHED)
        await room.say("b", **PUSHED)
        state = await room.quiet()
        assert [(f.number, f.unknown) for f in await room.only(OutboundFailed)] == [(1, True)]
        assert (state.unsure, [d.number for d in world.sent]) == ([1], [2])

    run(script, world=world)


def test_a_pushed_channel_is_told_of_failures_and_asked_for_agreement() -> None:
    async def script(room: Room) -> None:
        await room.open(**PUSHED)
        await room.say('use write {"text":"agree"}', **PUSHED)
        await room.until("OutboundDelivered")
        asked = room.world.sent[0]
        assert (asked.kind, asked.data["approval"], asked.data["tool"]) == ("approval", "approval/c.1.1", "write")

    run(script)
