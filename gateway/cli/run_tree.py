"""A run as a tree of its steps, for people: once, or live with a bar while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.output import printable, when

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.tree import Tree

SIGNS: Final = {
    "succeeded": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("–", "bright_black"),
    "cancelled": ("■", "yellow"), "running": ("▶", "cyan"), "queued": ("▷", "cyan"), "waiting": ("…", "blue"),
    "retrying": ("↻", "yellow"), "cancelling": ("□", "yellow"), "unknown": ("?", "magenta"), "pending": ("·", "white"),
}  # fmt: skip

ROWS: Final = 40
"""Steps that the live tree shows: those that go on come first, then those that ended last."""

ENDED: Final = frozenset(("succeeded", "failed", "skipped", "cancelled"))


def facts(run: Mapping[str, Any]) -> dict[str, Any]:
    """What there is to say of a run, its times as texts."""
    said = {name: value for name, value in run.items() if value not in (None, {}, "", [])}
    times = {name: when(said[name]) for name in ("queued_at", "started_at", "finished_at") if name in said}
    return {name: times.get(name, value) for name, value in said.items()}


def row(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step as a line of a table."""
    return {
        "step": step["step"],
        "status": step["status"],
        "task": step["task"],
        "attempt": step["attempt"] or None,
        "began": when(step["began"]),
        "took": took(step["began"], step["ended"]),
        "detail": step["error"] or step["reason"],
    }


def took(began: int | None, ended: int | None) -> str:
    """A time between two moments (µs), for people."""
    if not began or not ended:
        return ""
    seconds = max(ended - began, 0) / 1e6
    return f"{seconds:.3f} s" if seconds < 10 else f"{seconds:,.0f} s"


def line(step: Mapping[str, Any]) -> str:
    """A step in one line."""
    sign = SIGNS.get(step["status"], ("·", ""))[0]
    detail = step.get("error") or step.get("reason") or step.get("task") or ""
    return printable(f"{sign} {step['step']}  {step['status']}  {detail}".rstrip())


def live_view(run: Mapping[str, Any] | None, steps: Mapping[str, Mapping[str, Any]]) -> Group:
    """The run, a bar, and its steps as a tree by their places."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text
    from rich.tree import Tree

    if run is None:
        return Group(Text("…"))
    counts: Mapping[str, int] = run["steps"]
    done, total = sum(counts.get(s, 0) for s in ENDED), sum(counts.values())
    title = Text(f"{run['workflow']} {run['run']}  ", style="bold")
    title.append(run["closing"] or ("paused" if run["paused"] else run["status"]), style=_style(run["status"]))
    title.append(f"  {done}/{total} steps")
    tree = Tree(title)
    branches: dict[str, Tree] = {}
    for name in _shown(steps):
        _branch(tree, branches, steps, name)
    if len(steps) > ROWS:
        tree.add(Text(f"and {len(steps) - ROWS} more", style="bright_black"))
    parts: list[RenderableType] = [ProgressBar(total=max(total, 1), completed=done, width=60), tree]
    return Group(*parts)


def _branch(tree: Tree, branches: dict[str, Tree], steps: Mapping[str, Mapping[str, Any]], name: str) -> Tree:
    from rich.text import Text

    if name in branches:
        return branches[name]
    owner = _owner(name)
    above = _branch(tree, branches, steps, owner) if owner else tree
    step = steps.get(name)
    status = step["status"] if step else "running"
    sign, style = SIGNS.get(status, ("·", ""))
    text = Text(f"{sign} {printable(name[len(owner) :].lstrip('/'))}", style=style)
    if step is not None:
        if detail := step["error"] or step["reason"] or step["task"]:
            text.append(f"  {printable(str(detail))[:100]}", style="bright_black")
        if step["ended"] and status not in ("skipped",):
            text.append(f"  {took(step['began'], step['ended'])}", style="bright_black")
    branches[name] = above.add(text)
    return branches[name]


def _owner(name: str) -> str:
    """The step that a place is within; empty for one of the outermost block."""
    cut = max(name.rfind(mark) for mark in "/[#!")
    return name[:cut] if cut > 0 else ""


def _shown(steps: Mapping[str, Mapping[str, Any]]) -> list[str]:
    going = [name for name, step in steps.items() if step["status"] not in ENDED][:ROWS]
    ended = sorted((n for n, s in steps.items() if s["status"] in ENDED), key=lambda n: -(steps[n]["ended"] or 0))
    chosen = {*going, *ended[: ROWS - len(going)]}
    return sorted(chosen, key=lambda name: (steps[name]["began"], name))


def _style(status: str) -> str:
    return SIGNS.get(status, ("", ""))[1]
