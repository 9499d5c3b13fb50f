"""Channels: one shape in, their own shape out; what goes out is intended, attempted, delivered, once and in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.channels.http import HTTP
from actors.channels.port import Capabilities, Channel, Deliver, Incoming
from actors.channels.rendering import Said, pieces, plain, said
from actors.channels.table import CHANNELS, channel_of
from actors.channels.terminal import TERMINAL, safe
from events.conversations import OutboundAttempted, OutboundDelivered, OutboundFailed, OutboundIntended
from events.errors import InvalidData
from events.models import ModelFailure
from tests.conversations.place import Room, World, echo, run

PUSHED = {"channel": "telegram:1"}


@pytest.mark.parametrize(
    ("channel", "raw"),
    [("http", ("c", "user:ada", {"text": "hi", "id": "1"})), ("terminal", ("c", "user:ada", "1", " hi \n"))],
)
def test_what_comes_in_has_one_shape(channel: str, raw: Any) -> None:
    incoming = CHANNELS[channel].incoming
    assert incoming is not None
    assert incoming(raw) == Incoming(channel, "c", "1", "user:ada", "hi")


@pytest.mark.parametrize(
    ("channel", "raw"),
    [
        (HTTP, ("c", "user:ada", {"text": 7})), (HTTP, ("c", "user:ada", {"text": "x", "unknown": 1})),
        (HTTP, ("c", "user:ada", {"text": "x" * 1_000_001})), (TERMINAL, ("c", "user:ada", "1", " \n")),
    ],
)  # fmt: skip
def test_what_is_no_message_is_not_taken(channel: Channel, raw: Any) -> None:
    assert channel.incoming is not None
    with pytest.raises(InvalidData):
        channel.incoming(raw)


def test_a_message_in_the_name_of_another_is_not_trusted() -> None:
    assert HTTP.incoming is not None
    assert HTTP.incoming(("c", "token:bot", {"text": "hi", "sender": "user:ada"})).label == "untrusted/private"


def test_what_goes_out_is_the_channels_own() -> None:
    deliver = Deliver("terminal", "conversation/c", 1, "failure", "no\x1b[2J\nmodel", attempt=1)
    assert TERMINAL.rendered(deliver) == ["no answer: no\\x1b[2J\nmodel"]
    shown = {"number": 1, "kind": "failure", "text": "no answer: no\x1b[2J\nmodel", "data": None, "buttons": []}
    assert HTTP.rendered(deliver) == [shown]


ASKS = Deliver(
    "x", "conversation/c", 3, "approval", "files.write asks for agreement",
    {"approval": "approval/c.1.1", "digest": "d1", "tool": "files.write", "call": "c.1.1"},
)  # fmt: skip


def test_an_approval_is_answered_by_buttons_or_by_what_is_said_below_it() -> None:
    (shown,) = HTTP.rendered(ASKS)
    assert shown["buttons"] == [
        {"label": "approve", "method": "POST", "path": "/v1/approvals/c.1.1/approve", "body": {"digest": "d1"}},
        {"label": "deny", "method": "POST", "path": "/v1/approvals/c.1.1/deny", "body": {}},
    ]
    assert TERMINAL.rendered(ASKS) == ["files.write asks for agreement"]
    without = Channel(Capabilities(), CHANNELS["actor"].outgoing)
    assert without.rendered(ASKS) == [
        "files.write asks for agreement", "to answer: thespis approvals approve c.1.1, or deny"
    ]  # fmt: skip


@given(st.text(max_size=300), st.booleans(), st.integers(12, 80), st.booleans())
def test_whatever_goes_out_keeps_to_what_the_channel_can_do(text: str, markdown: bool, longest: int, can: bool) -> None:
    for kind, data in (("reply", None), ("failure", {"code": "x"}), ("approval", ASKS.data)):
        deliver = Deliver("x", "conversation/c", 1, kind, text, data)
        found = said(deliver, Capabilities(text=longest, markdown=markdown, buttons=can))
        assert found
        assert all(len(one.text) <= longest for one in found)
        assert [bool(one.buttons) for one in found] == [False] * (len(found) - 1) + [can and kind == "approval"]


def test_markdown_becomes_plain_where_it_is_not_shown() -> None:
    text = "# Title\n**bold** and [here](https://x.org)\n```py\ncode\n```"
    assert plain(text) == "Title\nbold and here (https://x.org)\ncode\n"
    reply = Deliver("x", "conversation/c", 1, "reply", text)
    assert said(reply, HTTP.can) == [Said(text)]
    assert said(reply, Capabilities()) == [Said(plain(text))]


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
    pigeon = channel_of("pigeon:7")
    assert (pigeon.can.pulled, pigeon.rendered(Deliver("pigeon:7", "c", 1, "reply", "**hi**"))) == (False, ["hi"])
    assert channel_of("http:x") is HTTP


# -- what goes out of a conversation


def test_a_pushed_channel_is_handed_one_message_after_the_other() -> None:
    async def script(room: Room) -> None:
        await room.open(**PUSHED)
        for n in range(3):
            await room.say(str(n), **PUSHED)
        await room.quiet()
        assert [(d.number, d.text) for d in room.world.sent] == [(n + 1, f"you said {n}") for n in range(3)]
        assert room.world.sent[0].messages == [{"text": "you said 0", "keyboard": []}]
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
        keyboard = ["approve c.1.1 d", "deny c.1.1 d"]
        assert asked.messages == [{"text": "write asks for agreement", "keyboard": keyboard}]

    run(script)


def test_a_long_reply_goes_out_in_pieces_and_without_markdown_where_the_channel_wants_that() -> None:
    async def script(room: Room) -> None:
        await room.open(**PUSHED)
        await room.say("**one** two three four five six seven eight nine", **PUSHED)
        await room.quiet()
        (sent,) = room.world.sent
        assert [m["text"] for m in sent.messages] == ["you said one two three four five six", "seven eight nine"]

    run(script)


@pytest.mark.parametrize("channel", ["http", "terminal"])
def test_failures_and_approvals_go_out_of_a_pulled_channel_as_replies_do(channel: str) -> None:
    def model(request: Any) -> Any:
        return ModelFailure("invalid", "it would not") if request.messages[-1].text == "boom" else echo(request)

    async def script(room: Room) -> None:
        await room.open(channel=channel)
        await room.say("boom", channel=channel)
        await room.quiet()
        await room.say('use write {"text":"agree"}', channel=channel)
        await room.until("ToolWaits")
        sent = await room.only(OutboundIntended)
        assert [(s.number, s.turn, s.kind) for s in sent] == [(1, 1, "failure"), (2, 2, "approval")]
        assert len(await room.only(OutboundDelivered)) == 2
        kinds = [type(f).__name__ for f in await room.facts()]
        assert kinds.index("OutboundDelivered") < kinds.index("TurnEnded")
        assert room.world.sent == []

    run(script, world=World(model))
