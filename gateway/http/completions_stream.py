"""An answer as chunks of a chat completion, from what is being written and what is committed.

The protocol cannot take back what it sent. So when an answer is begun again, or a guard changed it, the chunks say so
in the text and go on with what counts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final

import msgspec

from events.conversations import ModelAnswered, ToolWaits, TurnReplied
from events.envelope import Event
from events.errors import DeadlineExceeded, Unauthenticated
from gateway.http.conversation_feed import Feed
from gateway.http.keys import SHOWS
from gateway.http.posting import Posted, began
from gateway.http.route import Call
from gateway.http.showing import Shown
from gateway.http.transcript import ToolLine, TurnLine

AGAIN: Final = "\n\n[the answer begins again]\n\n"
GAP: Final = "\n\n"
"""Between what was said before a tool was used and what is said after."""

_DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "ToolWaits": msgspec.json.Decoder(ToolWaits).decode,
    "ModelAnswered": msgspec.json.Decoder(ModelAnswered).decode,
    "TurnReplied": msgspec.json.Decoder(TurnReplied).decode,
}


class Said:
    """What was sent of an answer, and what to send so that it comes to be what it should."""

    def __init__(self) -> None:
        self._step = 0
        self._text = ""
        """Of this step."""
        self._asked = False
        """Whether its tools were said to wait, after its text."""

    def piece(self, piece: Shown) -> str:
        """A piece is being written."""
        begun = self._begin(piece.step)
        if piece.reset:
            return begun + self._be(piece.text)
        self._text += piece.text
        return begun + piece.text

    def answered(self, step: int, text: str) -> str:
        """The text of a step is committed."""
        return self._begin(step) + self._be(text)

    def replied(self, text: str) -> str:
        """The answer is committed."""
        return self._be(text)

    def asks(self, tool: ToolLine) -> str:
        """People have to agree to a tool: who reads this may be one of them."""
        gap = GAP if self._text or self._asked else ""
        self._asked = True
        return f"{gap}[{asks_for(tool)}]"

    def _begin(self, step: int) -> str:
        if step == self._step:
            return ""
        gap = GAP if self._text or self._asked else ""
        self._step, self._text, self._asked = step, "", False
        return gap

    def _be(self, text: str) -> str:
        """What is missing of the text, after saying that it begins again where it is another one."""
        before, self._text = self._text, text
        if text.startswith(before):
            return text[len(before) :]
        return AGAIN + text if text else ""


def asks_for(tool: ToolLine) -> str:
    """That people have to agree to a tool, and how."""
    return f"{tool.tool} waits for agreement: thespis approvals approve {tool.approval}"


async def pieces(call: Call, stream: str, posted: Posted) -> AsyncGenerator[str | TurnLine]:
    """The answer to a message in pieces of text, and at last the turn that has ended.

    Raises Unauthenticated, DeadlineExceeded.
    """
    transcript = await began(call, stream, posted)
    said = Said()
    feed = Feed(call, stream, transcript.position, "conversations:write")
    async with call.request.app[SHOWS].watch(call.tenant, stream) as showing, aclosing(feed.frames(showing)) as frames:
        if (turn := transcript.turn_of(posted.number)) is not None and turn.over:
            yield said.replied(turn.text)
            yield turn
            return
        for tool in turn.asks if turn is not None else ():
            yield said.asks(tool)
        async for frame in frames:
            text = ""
            match frame:
                case None:
                    yield ""
                    continue
                case list():
                    transcript.fold(frame)
                    turn = transcript.turn_of(posted.number)
                    text = "".join(_of(event, turn, said) for event in frame) if turn is not None else ""
                case _:
                    turn = transcript.turn_of(posted.number)
                    if turn is not None and frame.turn == turn.turn:
                        text = said.piece(frame)
            if text:
                yield text
            if turn is not None and turn.over:
                yield turn
                return
    if "token" in feed.ended:
        raise Unauthenticated(feed.ended)
    raise DeadlineExceeded("this door closes", hint=f"read `GET /v1/conversations/{stream.partition('/')[2]}`")


def _of(event: Event, turn: TurnLine, said: Said) -> str:
    """What an event adds."""
    decode = _DECODERS.get(event.type)
    data = decode(event.data) if decode is not None else None
    match data:
        case ModelAnswered(late=False) if data.turn == turn.turn and data.step:
            return said.answered(data.step, data.answer.text)
        case ToolWaits() if data.turn == turn.turn:
            return "".join(said.asks(tool) for tool in turn.asks if tool.ordinal == data.ordinal)
        case TurnReplied() if data.turn == turn.turn:
            return said.replied(data.text)
        case _:
            return ""
