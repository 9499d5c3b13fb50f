"""The answer to one message, frame by frame: what is written, what tools do, how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from actors.channels.port import Deliver
from actors.channels.terminal import TERMINAL, safe
from gateway.cli.chat.link import Frame
from gateway.cli.chat.screen import Screen

STAND_IN: Final = "scripted stand-in: no language model was asked"

_WIDE: Final = 200


class Answering:
    """Shows the turn that answers message `number`, or the turn `turn`. `over` when it has ended.

    `reply` is its `TurnReplied`, `ended` its `TurnEnded`; `asks` are the approvals that
    nobody decided about.
    """

    def __init__(self, screen: Screen, number: int, turn: int = 0) -> None:
        self._screen = screen
        self._number = number
        self._mark = (turn, 0)
        self._shown = (0, 0)
        """Step and attempt of the last piece."""
        self._stand_in = False
        self._told: set[str] = set()
        """Models of which it was said that they did not answer."""
        self.turn = turn
        self.over = False
        self.reply: dict[str, Any] = {}
        self.ended: dict[str, Any] = {}
        self.asks: list[Deliver] = []

    def show(self, frame: Frame) -> None:
        """Show a frame, if it is about this turn."""
        data, screen = frame.data, self._screen
        match frame.name:
            case "away":
                screen.note("the host is away; waiting for it")
            case "back":
                screen.note("it is back")
            case "TurnStarted" if self._number in data["messages"]:
                self.turn = data["turn"]
            case "MessageTurnedAway" if not self.turn:
                screen.warn(f"not answered: {data['reason']}")
                self.ended, self.over = {"status": "refused", **data}, True
            case _ if self.turn and data.get("turn") == self.turn:
                self._take(frame.name, data)
            case _:
                pass

    def _take(self, name: str, data: dict[str, Any]) -> None:
        screen = self._screen
        match name:
            case "chunk":
                self._chunk(data)
            case "ModelAnswered" if data["step"] and not data.get("late"):
                self._whole((self.turn, data["step"]), data["answer"].get("text", ""))
                self._stand_in = self._stand_in or data["model"].startswith("scripted:")
                self._unanswered(data.get("tries", []), data["model"])
            case "ModelLost":
                screen.note("the host was lost in the middle of the answer; the model is asked again")
                if self._shown <= (data["step"], data["attempt"]):
                    screen.void()
            case "ModelFailed":
                self._unanswered(data.get("tries", []))
            case "AnswerRejected":
                screen.note(f"that answer does not do: {data['reason']}")
            case "ToolAsked":
                screen.say(f"→ {safe(data['tool'])} {safe(data['arguments'])[:_WIDE]}", dim=True)
            case "ToolAnswered":
                why = "" if data["status"] == "succeeded" else f": {safe(data['text'])[:_WIDE]}"
                screen.say(f"← {data['status']}{why}", dim=True)
            case "TurnStuck":
                screen.warn("no progress; Ctrl-C interrupts")
            case "TurnReplied":
                self.reply = data
            case "OutboundIntended":
                self._sent(Deliver("terminal", "", data["number"], data["kind"], data["text"], data.get("data")))
            case "TurnEnded":
                self._end(data)
            case _:
                pass

    def _sent(self, deliver: Deliver) -> None:
        """Something goes out, as a terminal shows it."""
        if deliver.kind == "approval":
            self.asks.append(deliver)
            return
        text = "\n".join(TERMINAL.rendered(deliver))
        if deliver.kind == "failure":
            self._screen.warn(text)
        else:
            self._whole(self._mark, text)
            self._screen.cited(self.reply.get("citations", []))

    def _chunk(self, data: dict[str, Any]) -> None:
        text, again = data.get("text", ""), data.get("reset", False)
        if text or again:
            self._mark, self._shown = (self.turn, data["step"]), (data["step"], data["attempt"])
            self._screen.piece(self._mark, text, again=again, gap=data.get("gap", False))

    def _whole(self, mark: tuple[int, int], text: str) -> None:
        self._mark = mark
        self._screen.whole(mark, text)

    def _unanswered(self, tries: Sequence[dict[str, Any]], answered: str = "") -> None:
        """Say once of each model that was asked in vain why it did not answer, by its last try."""
        for model, failure in {one["model"]: one["failure"] for one in tries if one["model"] != answered}.items():
            if model not in self._told:
                self._told.add(model)
                instead = f"; {answered} did" if answered else ""
                self._screen.note(f"{model} did not answer ({failure['kind']}: {failure['message'][:_WIDE]}){instead}")

    def _end(self, data: dict[str, Any]) -> None:
        self.ended, self.over = data, True
        if data["status"] not in ("replied", "failed"):
            why = data.get("reason") or data.get("code") or ""
            self._screen.warn(f"{data['status']}: {why}" if why else data["status"])
        if self._stand_in:
            self._screen.note(STAND_IN)
        self._screen.settle()
