"""A drawing as SVG: no script, no font, no browser needed; dark on light and light on dark."""

from __future__ import annotations

import re
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from gateway.graphs.layout import DETAIL_SIZE, LABEL_SIZE, TITLE, Box, Drawing, Route, second_line
from gateway.graphs.text import short

COLOURS: Final = {
    "pending": "#94a3b8", "waiting": "#d97706", "queued": "#7c3aed", "running": "#2563eb", "open": "#2563eb",
    "retrying": "#ea580c", "succeeded": "#16a34a", "failed": "#dc2626", "skipped": "#a8a29e", "cancelled": "#78716c",
    "cancelling": "#78716c", "unknown": "#be185d",
}  # fmt: skip
"""Of a step's bar, by its status in a run."""

_STYLE: Final = (
    "text{font-family:Helvetica,Arial,sans-serif;fill:#0f172a}"
    ".box{fill:#fff;stroke:#64748b}.group{fill:#f1f5f9;fill-opacity:.6;stroke:#94a3b8;stroke-dasharray:4 3}"
    ".detail{fill:#475569}.edge{fill:none;stroke:#64748b;stroke-width:1.3}.chosen{stroke-dasharray:6 3}"
    ".catch{stroke:#dc2626;stroke-dasharray:2 3}.finally{stroke:#64748b;stroke-dasharray:2 3}.tip{fill:#64748b}"
    "@media(prefers-color-scheme:dark){text{fill:#e2e8f0}.box{fill:#1e293b}.group{fill:#0f172a}.detail{fill:#94a3b8}}"
)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def svg(drawing: Drawing) -> str:
    """The SVG document."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {drawing.width} {drawing.height}" '
        f'width="{drawing.width}" height="{drawing.height}" role="img">',
        f"<title>{_text(drawing.name)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
    ]
    lines += [_group(box) for box in drawing.boxes if box.vertex.holds]
    lines += [_edge(route) for route in drawing.routes]
    lines += [_step(box) for box in drawing.boxes if not box.vertex.holds]
    return "\n".join([*lines, "</svg>", ""])


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", text))


def _about(box: Box) -> str:
    v = box.vertex
    said = [v.place, second_line(v), v.status, *(f"makes {asset}" for asset in v.produces)]
    return f"<title>{_text(chr(10).join(s for s in said if s))}</title>"


def _bar(box: Box) -> str:
    colour = COLOURS.get(box.vertex.status)
    if colour is None:
        return ""
    return f'<rect x="{box.x}" y="{box.y}" width="6" height="{box.height}" rx="3" fill="{colour}"/>'


def _group(box: Box) -> str:
    v = box.vertex
    return (
        f'<g data-place={_attribute(v.place)} data-status="{_text(v.status)}">{_about(box)}'
        f'<rect class="group" x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="8"/>{_bar(box)}'
        f'<text x="{box.x + 12}" y="{box.y + TITLE - 6}" font-size="{LABEL_SIZE}" font-weight="bold">'
        f'{_text(short(v.label))} <tspan class="detail" font-size="{DETAIL_SIZE}" font-weight="normal">'
        f"{_text(short(second_line(v)))}</tspan></text></g>"
    )


def _step(box: Box) -> str:
    v = box.vertex
    middle = box.x + box.width // 2
    return (
        f'<g data-place={_attribute(v.place)} data-status="{_text(v.status)}">{_about(box)}'
        f'<rect class="box" x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6"/>{_bar(box)}'
        f'<text x="{middle}" y="{box.y + 18}" font-size="{LABEL_SIZE}" text-anchor="middle">{_text(short(v.label))}'
        f'</text><text class="detail" x="{middle}" y="{box.y + 34}" font-size="{DETAIL_SIZE}" text-anchor="middle">'
        f"{_text(short(second_line(v)))}</text></g>"
    )


def _edge(route: Route) -> str:
    (x, y), *rest = route.points
    parts = [f"M{x} {y}"]
    for n, (to_x, to_y) in enumerate(rest):
        if n % 2 or to_x == x:
            parts.append(f"L{to_x} {to_y}")
        else:
            middle = (y + to_y) // 2
            parts.append(f"C{x} {middle} {to_x} {middle} {to_x} {to_y}")
        x, y = to_x, to_y
    kind = "" if route.edge.kind == "needs" else f" {route.edge.kind}"
    return f'<path class="edge{kind}" d="{"".join(parts)}" marker-end="url(#tip)"/>'
