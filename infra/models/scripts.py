"""Scripts that come with every host: `echo`, and `files` for an agent with tools for a folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from events.models import ModelAnswer, ModelRequest
from infra.models.script_files import files


def echo(request: ModelRequest) -> ModelAnswer:
    """Says what the person said last."""
    said = next((message.text for message in reversed(request.messages) if message.role == "user"), "")
    return ModelAnswer(said)


SCRIPTS: Final[dict[str, Callable[[ModelRequest], ModelAnswer]]] = {"echo": echo, "files": files}
"""By the name of the model."""
