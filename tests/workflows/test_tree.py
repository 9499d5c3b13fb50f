"""The live tree of a run, drawn on a terminal that is not there."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from gateway.cli.run_tree import ROWS, line, live_view

RUN: dict[str, Any] = {
    "run": "r1", "workflow": "digest", "status": "running", "closing": None, "paused": False,
    "steps": {"succeeded": 2, "running": 2},
}  # fmt: skip


def step(name: str, status: str = "succeeded", **more: Any) -> dict[str, Any]:
    return {
        "step": name, "status": status, "task": "t@1", "reason": None, "error": None, "began": 1_000_000,
        "ended": 2_500_000 if status == "succeeded" else None, **more,
    }  # fmt: skip


def drawn(steps: list[dict[str, Any]], run: dict[str, Any] | None = None) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(live_view(run or RUN, {one["step"]: one for one in steps}))
    return out.getvalue()


def test_steps_stand_below_the_step_they_are_within() -> None:
    text = drawn(
        [step("m", "running"), step("m[0]"), step("m[0]/inner"), step("m[1]", "waiting", reason="an approval")]
    )
    assert "digest r1  running  2/4 steps" in text
    lines = [one.rstrip() for one in text.splitlines()]
    places = [next(n for n, one in enumerate(lines) if mark in one) for mark in ("▶ m", "✓ [0]", "✓ inner", "… [1]")]
    assert places == sorted(places)
    assert "an approval" in text
    assert "1.500 s" in text


def test_what_goes_on_is_shown_first_and_a_crowd_is_counted() -> None:
    many = [step(f"s{n}") for n in range(ROWS + 10)] + [step("busy", "queued")]
    text = drawn(many)
    assert "busy" in text
    assert "and 11 more" in text


def test_nothing_a_terminal_would_obey_is_drawn() -> None:
    text = drawn([step("a", "failed", error="\x1b[31mred")])
    assert "\x1b" not in text
    assert "\x1b" not in line(step("a", "failed", error="\x1b]0;title"))


def test_before_anything_is_known_there_is_something_to_draw() -> None:
    out = io.StringIO()
    Console(file=out).print(live_view(None, {}))
    assert out.getvalue().strip()
