"""Requests that the suites share, and a script that answers as the fakes do."""

from __future__ import annotations

from events.models import ChatMessage, ModelAnswer, ModelRequest, ToolSpec, ToolUse

SEARCH = ToolSpec(
    "files.search",
    "Find lines in files.",
    {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": False},
)
ANSWER = {
    "title": "Answer",
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def hello(text: str = "hello there, you", **more: object) -> ModelRequest:
    """A question."""
    return ModelRequest([ChatMessage("system", "Be brief."), ChatMessage("user", text)], **more)  # pyright: ignore


def like_the_fakes(request: ModelRequest) -> ModelAnswer:
    """What the fakes answer by default."""
    last = request.messages[-1]
    if request.tools and last.role == "user" and request.tool_choice != "none":
        return ModelAnswer(tool_uses=[ToolUse("", request.tools[0].name, '{"text": "x"}')])
    if request.response_schema is not None:
        return ModelAnswer('{"answer": 42}')
    return ModelAnswer(f"You said: {last.text}")
