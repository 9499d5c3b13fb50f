"""What a server answers, as a result: text and JSON of bounded size, everything else named and left out."""

from __future__ import annotations

from typing import Any

import msgspec
from mcp import types

from actors.tools.tool import ToolError, ToolResult
from infra.mcp.config import Redaction
from infra.tools.web.visible import shortened, visible

LABEL = "untrusted/private"


def result_of(answer: types.CallToolResult, *, most: int, redact: Redaction, sandbox: str = "") -> ToolResult:
    """The result of a call of a server in this sandbox. Raises ToolError when the server says that it failed."""
    text = redact(visible("\n\n".join(filter(None, (_shown(block) for block in answer.content)))))
    if answer.is_error:
        raise ToolError(shortened(text, 4000)[0] or "the tool failed and does not say why", code="tool")
    value: Any = answer.structured_content
    if value is not None:
        raw = msgspec.json.encode(value)
        if len(raw) > most:
            value = {"left_out": f"{len(raw)} bytes of structured content, more than {most}"}
        else:
            value = msgspec.json.decode(redact(raw.decode()))
            text = text or raw.decode()
    shown, cut = shortened(text, most)
    if cut:
        shown += f"\n\n[cut off: more than {most} bytes]"
    return ToolResult(value=shown if value is None else value, text=shown, label=LABEL, sandbox=sandbox)


def _shown(block: types.ContentBlock) -> str:
    match block:
        case types.TextContent(text=text):
            return text
        case types.ImageContent(mime_type=kind, data=data) | types.AudioContent(mime_type=kind, data=data):
            return f"[{kind[:60]}, about {len(data) * 3 // 4} bytes: not shown]"
        case types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, text=text)):
            return f"[resource {str(uri)[:300]}]\n{text}"
        case types.EmbeddedResource(resource=types.BlobResourceContents(uri=uri, blob=blob)):
            return f"[resource {str(uri)[:300]}, about {len(blob) * 3 // 4} bytes: not shown]"
        case types.ResourceLink(uri=uri, name=name):
            return f"[resource {name[:100]}: {str(uri)[:300]}]"
        case _:
            return "[content of an unknown kind]"
