"""The same value in many YAML texts: block and flow, comments, quotes, odd indentation, line ends."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from actors.workflows.definition.writing import flow, scalar


@st.composite
def written(draw: st.DrawFn, value: Any, newline: str | None = None) -> str:
    """A text of a map or list that is not empty, in a style of its own."""
    newline = newline or draw(st.sampled_from(["\n", "\n", "\r\n"]))
    head = draw(st.sampled_from(["", "# a comment at the top\n\n", "---\n", "\n\n"])).replace("\n", newline)
    tail = draw(st.sampled_from(["", newline, f"{newline}# the end{newline}", f"  # c{newline}{newline}"]))
    return head + draw(_block(value, 0, newline)) + tail


@st.composite
def _block(draw: st.DrawFn, value: Any, indent: int, newline: str) -> str:
    pad = " " * indent
    lines: list[str] = []
    step = draw(st.sampled_from([2, 3, 4]))
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if draw(st.integers(0, 5)) == 0:
            lines.append(draw(st.sampled_from(["", pad + "# between", "   # askew"])))
        comment = draw(st.sampled_from(["", "", "", "  # why", " # ${ not: [this"]))
        lead = f"{pad}{_key(draw, key)}:" if isinstance(value, dict) else f"{pad}-"
        if isinstance(item, dict | list) and item and draw(st.integers(0, 3)):
            inner = indent + step
            if isinstance(value, list) and isinstance(item, dict) and draw(st.booleans()):
                text = draw(_block(item, indent + 2, newline))
                if not text.startswith(" " * (indent + 2)) or text[indent + 2] in "# \r\n":
                    lines.append(f"{lead}{comment}{newline}{text}")
                else:
                    lines.append(f"{lead} {text[indent + 2 :]}")
            elif isinstance(value, dict) and isinstance(item, list) and draw(st.booleans()):
                lines.append(f"{lead}{comment}{newline}{draw(_block(item, indent, newline))}")
            else:
                lines.append(f"{lead}{comment}{newline}{draw(_block(item, inner, newline))}")
        elif isinstance(item, dict | list):
            lines.append(f"{lead} {_flow(draw, item)}{comment}")
        elif item is None and draw(st.booleans()):
            lines.append(f"{lead}{comment}")
        else:
            lines.append(f"{lead} {_scalar(draw, item)}{comment}")
    return newline.join(lines)


def _key(draw: st.DrawFn, key: str) -> str:
    return draw(st.sampled_from([scalar(key), json.dumps(key, ensure_ascii=False)]))


def _scalar(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, str) and value.isprintable() and draw(st.booleans()):
        return "'" + value.replace("'", "''") + "'"
    return scalar(value)


def _flow(draw: st.DrawFn, value: Any) -> str:
    space = draw(st.sampled_from(["", " "]))
    if isinstance(value, dict):
        inner = f",{space or ' '}".join(
            f"{json.dumps(k, ensure_ascii=False)}: {_flow(draw, v)}" for k, v in value.items()
        )
        return f"{{{space}{inner}{space}}}"
    if isinstance(value, list):
        return f"[{space}{', '.join(_flow(draw, v) for v in value)}{space}]"
    return flow(value)
