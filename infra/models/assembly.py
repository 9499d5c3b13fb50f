"""A streamed answer put together again: pieces of text, pieces of tool uses, and at last what was used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from actors.models import tokens
from actors.models.names import ToolNames, derived_id
from actors.models.port import Chunk, ModelError
from actors.models.references import request_digest
from actors.models.usage import normalised, says_something
from events.models import ModelAnswer, ModelRequest, ToolUse, Usage
from infra.models.faults import nonsense

FINISHES: Final = {
    "stop": "stop", "length": "length", "model_length": "length", "tool_calls": "tools", "function_call": "tools",
    "content_filter": "filter", "eos": "stop", "end_turn": "stop",
}  # fmt: skip


class Piece(msgspec.Struct):
    """A part of a tool use as it came: `index` where the server counts them, `arguments` a piece of text or a value."""

    index: int | None = None
    id: str = ""
    name: str = ""
    arguments: Any = ""


class Assembly:
    """One answer while it comes, whole or in pieces. `names` are those of the tools it may use."""

    def __init__(self, provider: str, model: str, request: ModelRequest) -> None:
        self._provider = provider
        self._asked = request
        self._names = ToolNames(tool.name for tool in request.tools)
        self._text: list[str] = []
        self._uses: list[Piece] = []
        self._by_index: dict[int, Piece] = {}
        self._last: Piece | None = None
        self.model = model
        self.id = ""
        self.finish = ""
        """As the server said it; "" until then."""
        self.usage: Mapping[str, Any] | None = None

    @property
    def names(self) -> ToolNames:
        """What tools are called on the wire."""
        return self._names

    def add(self, text: str, pieces: list[Piece]) -> Chunk | None:
        """Take in what came; what is worth showing of it."""
        if text:
            self._text.append(text)
        begun = [ToolUse(p.id, self._names.meant(p.name)) for p in pieces if self._take(p)]
        return Chunk(text, begun) if text or begun else None

    def report(self, raw: Any) -> None:
        """The server says what was used; the last word counts, since some say it in every piece."""
        if says_something(raw):
            self.usage = raw

    def answer(self) -> ModelAnswer:
        """The whole. Raises ModelError when it is none."""
        if self.finish == "error":
            raise ModelError("server", "the provider ended the answer with an error")
        text = "".join(self._text)
        uses = [self._whole(n, piece) for n, piece in enumerate(self._uses)]
        finish = FINISHES.get(self.finish, "stop")
        if uses and finish == "stop":
            finish = "tools"
        return ModelAnswer(
            text=text, tool_uses=uses, finish=finish, usage=self._used(text, uses), provider=self._provider,
            model=self.model, id=self.id,
        )  # fmt: skip

    def _take(self, piece: Piece) -> bool:
        """Whether it begins a use. Some servers give every use index 0, others none, or an id with each piece."""
        known = self._by_index.get(piece.index) if piece.index is not None else self._last
        another = known is not None and piece.name and piece.id and known.id and piece.id != known.id
        if known is None or another:
            if not piece.name:
                raise nonsense("a tool use begins without a name")
            if not isinstance(piece.arguments, str):
                piece.arguments = _json(piece.arguments)
            self._uses.append(piece)
            self._last = piece
            if piece.index is not None:
                self._by_index[piece.index] = piece
            return True
        known.id = known.id or piece.id
        known.arguments += piece.arguments if isinstance(piece.arguments, str) else _json(piece.arguments)
        return False

    def _whole(self, ordinal: int, piece: Piece) -> ToolUse:
        id = piece.id if piece.id not in ("", "null") else derived_id(f"{request_digest(self._asked)}:{ordinal}")
        return ToolUse(id, self._names.meant(piece.name), piece.arguments or "{}")

    def _used(self, text: str, uses: list[ToolUse]) -> Usage:
        if self.usage is not None:
            return normalised(self.usage)
        written = tokens.of_text(text) + sum(tokens.of_text(u.name) + tokens.of_text(u.arguments) for u in uses)
        return Usage(input=tokens.of_request(self._asked), output=written, reported=False)


def _json(value: Any) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()
